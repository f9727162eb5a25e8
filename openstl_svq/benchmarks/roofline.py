"""Where the time of a training step must go on a device that is not at hand: from floating-point operations and bytes."""

import math
from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from ..models import SimVP_SVQ_Model
from . import Progress, register_benchmark
from .step import DROP_PATH, WEATHER_S, Backbone, size_of
from .tables import Table, giga

_NORMS = ("native_batch_norm", "native_group_norm", "native_layer_norm", "_native_batch_norm_legit")
_PRODUCTS = ("mm", "addmm", "bmm", "baddbmm")


class Work(TorchDispatchMode):
    """Counts the floating-point operations and the bytes of every operation, by kind.

    Bytes are those of the inputs and outputs of each operation, as if none found its input in a cache or was fused
    with its neighbour; views count nothing.
    """

    def __init__(self):
        super().__init__()
        self.flops: dict[str, int] = defaultdict(int)
        self.bytes: dict[str, int] = defaultdict(int)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        outputs = func(*args, **(kwargs or {}))
        if not func.is_view and "detach" not in func.__name__:
            name = func.overloadpacket.__name__
            kind = _kind(name, args)
            self.flops[kind] += _flops(name, args, outputs)
            self.bytes[kind] += sum(t.nbytes for t in tree_iter((args, kwargs, outputs)) if isinstance(t, Tensor))
        return outputs


def _kind(name: str, args: tuple) -> str:
    if name in ("convolution", "convolution_backward"):
        weight = args[1] if name == "convolution" else args[2]
        if weight.shape[1] == 1 and weight.shape[0] > 1:
            return "depthwise convolutions"
        return "1 x 1 convolutions" if weight.shape[2:].numel() == 1 else "other convolutions"
    if name in _PRODUCTS:
        return "matrix products"
    return "norms" if name.removesuffix("_backward") in _NORMS else "elementwise, copies, sums"


def _flops(name: str, args: tuple, outputs: Any) -> int:
    """Of convolutions and products, a multiply-add as two; the rest is bound by its bytes everywhere."""
    if name == "convolution":
        return 2 * outputs.numel() * args[1][0].numel()
    if name == "convolution_backward":
        return sum(2 * args[0].numel() * args[2][0].numel() for wanted in args[-1][:2] if wanted)
    if name in _PRODUCTS:
        a, b = args[-2:] if name in ("addmm", "baddbmm") else args[:2]
        return 2 * math.prod(a.shape) * b.shape[-1]
    return 0


@register_benchmark("roofline", "least time of a training step on a device, from operations and bytes; H100 by default")
def roofline_table(
    backbone: Backbone = WEATHER_S,
    batch_size: int = 16,
    codebook_size: int = 10_000,
    tflops: float = 494.0,
    depthwise_tflops: float = 67.0,
    bandwidth: float = 3350.0,
    *,
    progress: Progress = None,
) -> Table:
    """Operations and bytes of each kind of layer, and the time that the slower of the two takes at the device's peak.

    Args:
        tflops: the device's peak for products, in TFLOP/s; 494 is an H100's in TF32 (989 in bf16).
        depthwise_tflops: its peak without tensor cores, which depthwise convolutions cannot use.
        bandwidth: of its memory, in GB/s.
    """
    backbone = {**WEATHER_S, **backbone}
    with torch.device("meta"):
        model = SimVP_SVQ_Model(**backbone, drop_path=DROP_PATH, quantizer_kwargs={"codebook_size": codebook_size})
        x, y = torch.empty(2, batch_size, *backbone["in_shape"])
    if progress:
        progress("counting")
    optimizer = torch.optim.Adam(model.parameters(), fused=False, foreach=False)
    with Work() as work:
        prediction, output = model(x, return_quantizer_output=True)
        (nn.functional.l1_loss(prediction, y) + output.aux_loss).backward()
    parameters = sum(p.nbytes for p in optimizer.param_groups[0]["params"])
    work.bytes["Adam, fused"] = 7 * parameters  # reads parameter, gradient and two moments, writes all but the gradient
    rows = []
    for kind in sorted(work.bytes, key=lambda kind: -work.bytes[kind]):
        peak = depthwise_tflops if kind.startswith("depthwise") else tflops
        compute, memory = work.flops[kind] / peak / 1e12, work.bytes[kind] / bandwidth / 1e9
        rows.append(
            {
                "kind": kind,
                "flops": work.flops[kind],
                "bytes": work.bytes[kind],
                "seconds": max(compute, memory),
                "bound": "operations" if compute > memory else "bytes",
            }
        )
    total = sum(row["seconds"] for row in rows)
    rows.append({"kind": "all", "flops": sum(work.flops.values()), "bytes": sum(work.bytes.values()), "seconds": total})
    for row in rows:
        row["share"] = row["seconds"] / total
    columns = {
        "kind": "Layers",
        "flops": ("FLOPs", giga),
        "bytes": ("Bytes", giga),
        "seconds": ("Least time", lambda seconds: f"{seconds * 1e3:.2f} ms"),
        "share": ("of all", ".0%"),
        "bound": "bound by",
    }
    return Table(
        columns,
        rows,
        f"Least time of a training step at {tflops:g} TFLOP/s and {bandwidth:g} GB/s: SimVP({backbone['model_type']})+SVQ "
        f"on {size_of(backbone)}, batch {batch_size}",
        [
            "Computed, not measured. Forward, loss, backward and Adam, float32 maps, no operation fused with another.",
            "A multiply-add counts as two operations here.",
        ],
    )
