"""What a method does around its network: points that are left out, sizes that do not divide, a globe without a seam.

All of it is hooks on the network, of either host: parameters and the keys of the state dict stay as they are.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ZEROS = "zeros"
PAD_MODES = (ZEROS, "circular")


def leave_out(model: nn.Module, missing: Tensor) -> None:
    """Forecasts of ``model`` are 0 at the ``missing`` points, bool ``(C, H, W)``, as the truth is there: they add nothing
    to a loss and get no gradient."""
    model.register_buffer("missing_points", torch.as_tensor(missing, dtype=torch.bool), persistent=False)
    model.register_forward_hook(_leave_out)


def _leave_out(model: nn.Module, inputs: tuple, output):
    forecast, *rest = output if isinstance(output, tuple) else (output,)
    if not torch.is_tensor(forecast) or forecast.ndim != 5 or forecast.shape[2:] != model.missing_points.shape:
        raise ValueError(
            f"mask needs a network that gives frames of {tuple(model.missing_points.shape)}, and "
            f"{type(model).__name__} gives something else: fill the missing values in, and leave mask out."
        )
    forecast = forecast.masked_fill(model.missing_points, 0)
    return (forecast, *rest) if isinstance(output, tuple) else forecast


def padded(size: Sequence[int], multiple: int) -> tuple[int, int]:
    """Height and width, each the next multiple of ``multiple``."""
    height, width = (-(-n // multiple) * multiple for n in size)
    return height, width


def pad_frames(model: nn.Module, size: Sequence[int], larger: Sequence[int]) -> None:
    """``model`` was built for frames of ``larger`` height and width and is used with ``size``: its input is padded with the
    values at the edges, as evenly as can be, and its forecast cut back."""
    top, left = ((large - small) // 2 for large, small in zip(larger, size))
    bottom, right = (large - small - before for large, small, before in zip(larger, size, (top, left)))

    def pad(module: nn.Module, inputs: tuple, kwargs: dict):
        def one(x):
            if not torch.is_tensor(x) or x.ndim != 5 or tuple(x.shape[3:]) != tuple(size):
                return x
            return F.pad(x.flatten(0, 1), (left, right, top, bottom), mode="replicate").unflatten(0, x.shape[:2])

        return tuple(map(one, inputs)), {key: one(value) for key, value in kwargs.items()}

    def cut(module: nn.Module, inputs: tuple, output):
        forecast, *rest = output if isinstance(output, tuple) else (output,)
        forecast = forecast[..., top : top + size[0], left : left + size[1]]
        return (forecast, *rest) if isinstance(output, tuple) else forecast

    model.register_forward_pre_hook(pad, with_kwargs=True)
    model.register_forward_hook(cut)


def make_periodic(model: nn.Module) -> None:
    """The 2-D convolutions of ``model`` see the first columns beyond the last ones, and the last before the first.

    Each gets so many columns of the other side that its own zero padding touches none that is kept; rows are padded with
    zeros as before.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and _reach(module):
            module.register_forward_pre_hook(_wrap)
            module.register_forward_hook(_unwrap)


def _reach(conv: nn.Conv2d) -> int:
    """Columns of zeros on each side, in steps of its stride: those of its output that they reach."""
    padding = conv.padding
    columns = (
        conv.dilation[1] * (conv.kernel_size[1] // 2) if padding == "same" else 0 if padding == "valid" else padding[1]
    )
    return math.ceil(columns / conv.stride[1])


def _wrap(conv: nn.Conv2d, inputs: tuple):
    (x,) = inputs
    columns = _reach(conv) * conv.stride[1]
    if columns <= x.shape[-1]:
        return F.pad(x, (columns, columns, 0, 0), mode="circular")
    index = torch.arange(-columns, x.shape[-1] + columns, device=x.device) % x.shape[-1]  # more than once around
    return x[..., index]


def _unwrap(conv: nn.Conv2d, inputs: tuple, output: Tensor) -> Tensor:
    kept = _reach(conv)
    return output[..., kept:-kept]
