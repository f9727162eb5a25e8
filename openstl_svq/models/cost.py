"""Parameters and floating-point operations of a model, as the tables of OpenSTL and of the SVQ paper count them."""

import copy
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class ModelCost:
    """What one forecast costs.

    Attributes:
        params: entries of all parameters, frozen ones too. Buffers, such as a codebook kept as a moving average, are
            not parameters.
        flops: multiply-adds of one forward pass, each counted as one.
        skipped: how often each operation that counts as 0 was called (activations, softmax, sums, pooling, ...).
    """

    params: int
    flops: int
    skipped: dict[str, int] = field(default_factory=dict, repr=False)


def count_parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def model_cost(model: nn.Module, inputs: Sequence[int] | Tensor | tuple[Tensor, ...]) -> ModelCost:
    """Counts with fvcore, at batch 1 and in evaluation mode, as OpenSTL does for its published tables.

    A copy of the model is measured: the model's own weights, buffers, hooks and training flag, and torch's random
    state, are as before.

    Attention counts the same whether torch fuses it or not: as its two matrix products. (fvcore alone counts fused
    attention as 0; the published figures are those of plain attention.)

    Args:
        model: any module; its device is used.
        inputs: shape ``(T, C, H, W)`` of one input, or the input itself with its batch axis (a tuple for several).

    Raises:
        ValueError: a shape that is not made of positive integers.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on import fvcore scripts its losses, with an API that torch deprecates
        from fvcore.nn import FlopCountAnalysis

    device = next((t.device for t in (*model.parameters(), *model.buffers())), torch.device("cpu"))
    measured = copy.deepcopy(model).eval()
    for module in measured.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            for key in [key for key, hook in hooks.items() if not _is_part_of_the_model(hook)]:
                del hooks[key]
    cuda_devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(cuda_devices), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer: constants, loops
        analysis = FlopCountAnalysis(measured, _example(inputs, device))
        analysis.set_op_handle("aten::scaled_dot_product_attention", _attention_flops)
        analysis.set_op_handle("aten::matmul", _matmul_flops)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        flops = int(analysis.total())
        skipped = dict(analysis.unsupported_ops())
    return ModelCost(count_parameters(model), flops, skipped)


def _is_part_of_the_model(hook: Callable) -> bool:
    """Whether it is this package's, as those that pad frames; others may note or change what is not theirs."""
    return getattr(hook, "__module__", "").partition(".")[0] == __name__.partition(".")[0]


def dry_cost(model: nn.Module, inputs: tuple[Tensor, ...]) -> ModelCost:
    """The same count without the arithmetic: shapes alone pass through the model, so its size does not matter.

    For models whose forward pass takes minutes on a CPU, as the recurrent ones of Table 12 do. A copy is measured.

    Args:
        model: a module that also runs on torch's device ``meta``.
        inputs: the arguments of one forward pass.
    """
    from torch.utils.flop_counter import FlopCounterMode

    norms = dict.fromkeys((torch.ops.aten.native_layer_norm, torch.ops.aten.native_group_norm), _norm_flops)
    counter = FlopCounterMode(display=False, custom_mapping=norms)
    with torch.no_grad(), counter:
        copy.deepcopy(model).to("meta").eval().requires_grad_(False)(*(value.to("meta") for value in inputs))
    return ModelCost(count_parameters(model), counter.get_total_flops() // 2)  # it counts a multiply-add as two


def _norm_flops(shape, *args, out_shape=None, **kwargs) -> int:
    """fvcore's count of a norm with weights, five an entry, in the counter's unit."""
    return 10 * math.prod(shape)


def _example(inputs, device):
    if isinstance(inputs, Tensor):
        return inputs.to(device)
    if inputs and all(isinstance(v, Tensor) for v in inputs):
        return tuple(v.to(device) for v in inputs)
    if not inputs or not all(isinstance(n, int) and n > 0 for n in inputs):
        raise ValueError(
            f"the cost needs one input's shape (T, C, H, W) in positive integers, or a tensor; got {inputs!r}."
        )
    return torch.ones(1, *inputs, device=device)


def _matmul_flops(inputs, outputs) -> int:
    """fvcore's own count, for vectors too, on which fvcore fails."""
    return math.prod(outputs[0].type().sizes()) * inputs[0].type().sizes()[-1]


def _attention_flops(inputs, outputs) -> int:
    """``Q K^T`` and its product with V, for Q ``(..., L, E)``, K ``(..., S, E)``, V ``(..., S, Ev)``."""
    query, key, value = (v.type().sizes() for v in inputs[:3])
    return math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])
