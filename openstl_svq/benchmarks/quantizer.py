"""SVQ's folded form against the reference form."""

import statistics
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..quantizers import build_quantizer
from ..timing import paired_ratio, peak_memory, time_in_turn
from . import Progress, register_benchmark
from .tables import Table, mebibytes, milliseconds, times


@register_benchmark("quantizer", "SVQ's folded form against the reference form")
def quantizer_table(
    shape: tuple[int, int, int, int] = (48, 32, 16, 32),
    codebook_size: int = 10_000,
    hidden_dim: int = 128,
    rounds: int = 5,
    *,
    device: str = "cpu",
    progress: Progress = None,
) -> Table:
    """SVQ's two forms, forward and backward, on a latent of this ``(N, C', H, W)``, in one process and in turn."""
    torch.manual_seed(0)
    folded = build_quantizer("svq", shape[1], codebook_size=codebook_size, hidden_dim=hidden_dim).to(device)
    reference = build_quantizer("svq", shape[1], codebook_size=codebook_size, hidden_dim=hidden_dim, form="reference")
    reference.load_state_dict(folded.state_dict())
    forms = {"folded": folded, "reference": reference.to(device)}
    latent = torch.randn(shape, device=device, requires_grad=True)
    gradient = torch.randn(shape, device=device)
    functions = {name: forward_backward(quantizer, latent, gradient) for name, quantizer in forms.items()}

    seconds = time_in_turn(functions, rounds, device, progress=progress)
    gradients = {}
    for name, function in functions.items():  # one more call: what both forms give to every parameter and the input
        gradients[name] = {
            "output": function().detach(),
            "latent": latent.grad,
            **{key: p.grad for key, p in forms[name].named_parameters()},
        }
    apart = max(_relative_difference(gradients["folded"][key], value) for key, value in gradients["reference"].items())
    del gradients
    for quantizer in forms.values():
        quantizer.zero_grad()
    latent.grad = None
    memory = {name: peak_memory(function, device) for name, function in functions.items()}
    ratio = paired_ratio(seconds["reference"], seconds["folded"])

    rows = [
        {
            "form": name,
            "seconds": statistics.median(seconds[name]),
            "memory": memory[name],
            "time_ratio": statistics.median(seconds["reference"]) / statistics.median(seconds[name]),
            "memory_ratio": memory["reference"] / memory[name],
            "all_seconds": seconds[name],
        }
        for name in ("reference", "folded")
    ]
    columns = {
        "form": "Form",
        "seconds": ("Forward + backward", milliseconds),
        "time_ratio": ("Faster", times),
        "memory": ("Peak memory", mebibytes),
        "memory_ratio": ("Less memory", times),
    }
    n, c, h, w = shape
    return Table(
        columns,
        rows,
        f"SVQ, {codebook_size:,} codes, width {hidden_dim}, latent {n} x {c} x {h} x {w}",
        [
            f"Medians of {rounds} rounds in turn; reference / folded, paired: {ratio} times (95 % interval).",
            "Peak memory: allocated by one forward and backward at its worst moment, above the parameters and the input.",
            f"Largest relative difference between the forms over the output and every gradient: {apart:.1e}.",
        ],
    )


def forward_backward(quantizer: nn.Module, latent: Tensor, gradient: Tensor) -> Callable[[], Tensor]:
    """A step of the quantizer alone: a call that leaves the gradients of ``<quantized, gradient> + aux_loss``."""

    def call():
        quantizer.zero_grad()
        latent.grad = None
        output = quantizer(latent)
        ((output.quantized * gradient).sum() + output.aux_loss).backward()
        return output.quantized

    return call


def _relative_difference(a: Tensor, b: Tensor) -> float:
    return ((a - b).abs().max() / b.abs().max().clamp_min(torch.finfo(b.dtype).tiny)).item()
