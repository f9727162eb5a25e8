"""What a forward pass of the SimVP family does to its latent, measured by hooks that stay for that pass alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .simvp_svq import SimVP_SVQ_Model


@contextmanager
def watch(model: SimVP_SVQ_Model) -> Iterator[dict[str, Tensor]]:
    """Fills the dictionary it gives with 0-dim tensors during the forward passes inside, of the first where several.

    ``latent/std_before``, ``latent/std_after``: standard deviation of what the quantizer takes and gives; without a
    quantizer only the former, of what the translator takes.
    ``translator/block_share``: the root mean square of what a block of the translator adds to its input, over that of
    its output, mean over the blocks: near 0 where blocks pass their input on, near 1 where they replace it. A
    translator without such blocks (IncepU) counts as one.
    """
    values: dict[str, Tensor] = {}
    shares: list[Tensor] = []

    @torch.no_grad()
    def quantizer_ran(module, inputs, output):
        values.setdefault("latent/std_before", inputs[0].float().std())
        values.setdefault("latent/std_after", output.quantized.float().std())

    @torch.no_grad()
    def translator_takes(module, inputs):
        values.setdefault("latent/std_before", inputs[0].float().std())

    @torch.no_grad()
    def block_ran(module, inputs, output):
        if len(shares) < len(blocks):
            shares.append((output - inputs[0]).float().norm() / output.float().norm())

    inner = [getattr(m, "block", None) for m in model.hid.modules()]
    blocks: list[nn.Module] = [block for block in inner if isinstance(block, nn.Module)] or [model.hid]
    handles = [block.register_forward_hook(block_ran) for block in blocks]
    if model.quantizer is None:
        handles.append(model.hid.register_forward_pre_hook(translator_takes))
    else:
        handles.append(model.quantizer.register_forward_hook(quantizer_ran))
    try:
        yield values
    finally:
        for handle in handles:
            handle.remove()
    if shares:
        values["translator/block_share"] = torch.stack(shares).mean()
