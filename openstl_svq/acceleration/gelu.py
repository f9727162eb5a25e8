"""GELU on a CPU: the function and its derivative in one compiled pass, in place of two that each compute erf."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..compiled import compiled, have_compiler, in_parts, is_captured, threads_for
from .exponential import exponential

_LEAST = 2**14  # entries below which a call costs more than it saves
_THREADED = 2**19  # entries that are worth a thread: some tenths of a millisecond
f32 = np.float32


class CompiledGELU(nn.GELU):
    """``nn.GELU``, exact to 5e-7; on a CPU, in float32 and outside of traces the compiled one."""

    def forward(self, x: Tensor) -> Tensor:
        if not _is_compiled_for(x):
            return super().forward(x)
        return _GELU.apply(x) if torch.is_grad_enabled() and x.requires_grad else _gelu(x, None)


def is_gelu(module: nn.Module) -> bool:
    """Whether ``module`` can become a :class:`CompiledGELU`, and numba is there for it."""
    return type(module) is nn.GELU and module.approximate == "none" and have_compiler()


def _is_compiled_for(x: Tensor) -> bool:
    if is_captured():
        return False
    if x.device.type != "cpu" or x.dtype != torch.float32 or x.numel() < _LEAST:
        return False
    return x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)


class _GELU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        slope = torch.empty_like(x)
        ctx.save_for_backward(slope)
        return _gelu(x, slope)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (slope,) = ctx.saved_tensors
        return grad * slope


def _gelu(x: Tensor, slope: Tensor | None) -> Tensor:
    """GELU of ``x``, in its memory format; its derivative goes to ``slope``."""
    out = torch.empty_like(x)
    entries, results = _entries(x), _entries(out)
    slopes = None if slope is None else _entries(slope)

    def work(part: int, first: int, last: int) -> None:
        compiled(_loop)(entries[first:last], results[first:last], None if slopes is None else slopes[first:last])

    in_parts(x.numel(), threads_for(x.numel(), _THREADED, x.numel()), work)
    return out


def _entries(x: Tensor) -> np.ndarray:
    """All entries in the order in which they lie in memory."""
    x = x.detach()
    return (x if x.is_contiguous() else x.permute(0, 2, 3, 1)).view(-1).numpy()


def _loop(x, y, slope):
    r"""``y = x P``, ``slope = P + x p``, with P and p the normal distribution's function and density.

    :math:`P(-|x|) = e^{-x^2/2} t (a_1 + t (a_2 + ...)) / 2`, :math:`t = 1 / (1 + 0.3275911 |x| / \sqrt 2)`, to 1e-7:
    Abramowitz and Stegun, 7.1.26. Beyond 9 deviations, where it is below 1e-18, it is 0: its values would become
    subnormal numbers, with which the layers that follow take ten times as long.
    """
    for i in range(len(x)):
        v = x[i]
        power = f32(-0.5) * v * v
        near = power > f32(-40.5)
        power = power if near else f32(-40.5)
        e = exponential(power) if near else f32(0)
        t = f32(1) / (f32(1) + f32(0.3275911 / 2**0.5) * abs(v))
        tail = f32(1.421413741) + t * (f32(-1.453152027) + t * f32(1.061405429))
        tail = f32(0.5) * e * t * (f32(0.254829592) + t * (f32(-0.284496736) + t * tail))
        share = tail if v < f32(0) else f32(1) - tail
        y[i] = v * share
        if slope is not None:
            slope[i] = share + v * e * f32(0.3989422804)
