"""GroupNorm and the SiLU that follows it on a CPU, in one compiled pass over each map; torch takes up to twice as long."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.autograd.function import once_differentiable

from ..compiled import compiled, have_compiler, in_parts, inlined, is_captured, threads_for
from .exponential import exponential

_LEAST = 2**16  # entries below which a call costs more than it saves
_THREADED = 2**18  # entries that are worth a thread: some tenths of a millisecond
_ROW = 512  # entries that are summed side by side
f32 = np.float32


class GroupNormSiLU(nn.GroupNorm):
    """``SiLU(GroupNorm(x))``; on a CPU, in float32, over channels-last maps and outside of traces the compiled one."""

    def forward(self, x: Tensor) -> Tensor:
        if not _is_compiled_for(x, self):
            return F.silu(super().forward(x), inplace=True)
        return _GroupNormSiLU.apply(x, self.weight, self.bias, self.num_groups, self.eps)


class AppliedSiLU(nn.SiLU):
    """The place of a SiLU that a :class:`GroupNormSiLU` before it applies."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def fuse_group_norms(model: nn.Module) -> None:
    """Turns each GroupNorm in ``model`` whose only reader is a SiLU, and that SiLU, into the compiled form, in place.

    Names and parameters stay. Modules that torch.fx cannot trace stay as they are.
    """
    if not have_compiler():
        return
    places = [module for _, module in model.named_modules(remove_duplicate=False)]
    for parent in model.modules():
        kinds = {type(child) for child in parent.children()}
        if nn.GroupNorm in kinds and nn.SiLU in kinds:
            for norm, act in _read_by_silu(parent):
                if places.count(norm) == places.count(act) == 1 and norm.affine and not norm._forward_hooks:
                    norm.__class__, act.__class__ = GroupNormSiLU, AppliedSiLU


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, qualified_name: str) -> bool:
        return True


def _read_by_silu(parent: nn.Module) -> list[tuple[nn.GroupNorm, nn.SiLU]]:
    """Pairs of modules, called once each, of which the second takes all that the first gives."""
    try:
        nodes = _Tracer().trace(parent).nodes
    except Exception:  # what a stranger's code does with a proxy in place of a tensor is anybody's guess
        return []
    called = {node: parent.get_submodule(node.target) for node in nodes if node.op == "call_module"}
    once = [module for module in called.values() if list(called.values()).count(module) == 1]
    return [
        (norm, called[reader])
        for node, norm in called.items()
        if type(norm) is nn.GroupNorm and norm in once and len(node.users) == 1
        for reader in node.users
        if type(called.get(reader)) is nn.SiLU and called[reader] in once
    ]


def _is_compiled_for(x: Tensor, norm: nn.GroupNorm) -> bool:
    if is_captured():
        return False
    if x.device.type != "cpu" or x.ndim != 4 or x.shape[1] != norm.num_channels or x.numel() < _LEAST:
        return False
    if not x.dtype == norm.weight.dtype == norm.bias.dtype == torch.float32:
        return False
    return x.is_contiguous(memory_format=torch.channels_last)


class _GroupNormSiLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float) -> Tensor:
        y = torch.empty_like(x)
        moments = torch.empty(2, len(x), groups, dtype=torch.float64)  # mean, 1 / standard deviation
        arguments = _maps(x), weight.detach().numpy(), bias.detach().numpy(), eps, _maps(y), moments.numpy(), _row(x)
        _by_maps(x, lambda part, first, last: compiled(_forward_loop)(*arguments, first, last))
        ctx.save_for_backward(x, weight, bias, moments)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple:
        x, weight, bias, moments = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        grad_x = torch.empty_like(x)
        sums = torch.zeros(_threads(x), 2, len(weight), dtype=torch.float64)
        arguments = _maps(x), _maps(grad), weight.numpy(), bias.numpy(), moments.numpy(), _maps(grad_x), _row(x)
        shares = sums.numpy()
        _by_maps(x, lambda part, first, last: compiled(_backward_loop)(*arguments, shares[part], first, last))
        grad_weight, grad_bias = sums.sum(0).to(weight.dtype)
        return grad_x, grad_weight, grad_bias, None, None


def _maps(x: Tensor) -> np.ndarray:
    """``(N, C, H, W)``, channels-last -> ``(N, H * W * C)``."""
    return x.detach().permute(0, 2, 3, 1).reshape(len(x), -1).numpy()


def _row(x: Tensor) -> int:
    """How many entries are summed side by side: a multiple of the channels."""
    return x.shape[1] * max(1, _ROW // x.shape[1])


def _threads(x: Tensor) -> int:
    return threads_for(x.numel(), _THREADED, len(x))


def _by_maps(x: Tensor, work) -> None:
    in_parts(len(x), _threads(x), work)


@inlined
def _sigmoid(v):
    """1 / (1 + e^-v), from e^-|v|, which does not overflow."""
    e = exponential(max(-abs(v), f32(-80)))
    return (f32(1) if v >= f32(0) else e) / (f32(1) + e)


def _forward_loop(x, weight, bias, eps, y, moments, length, first, last):
    """Maps ``first`` to ``last`` of ``y``; sums run over rows of ``length`` entries, whole pixels."""
    size, channels, groups = x.shape[1], len(weight), moments.shape[2]
    channel = np.arange(length) % channels
    group = channel // (channels // groups)
    sums, scale, shift = np.empty(length, f32), np.empty(length, f32), np.zeros(length, f32)
    totals = np.empty(groups)
    for n in range(first, last):
        for moment in range(2):  # the mean, then the variance about it
            sums[:], totals[:] = 0, 0
            for start in range(0, size, length):
                row = x[n, start : start + length]
                if moment == 0:
                    for c in range(len(row)):
                        sums[c] += row[c]
                else:
                    for c in range(len(row)):
                        sums[c] += (row[c] - shift[c]) * (row[c] - shift[c])
            for c in range(length):
                totals[group[c]] += sums[c]
            for g in range(groups):
                mean = totals[g] * groups / size
                moments[moment, n, g] = 1 / np.sqrt(mean + eps) if moment else mean
            for c in range(length):
                shift[c] = moments[0, n, group[c]]
        _set_scale(weight, bias, moments[:, n], channel, group, scale, shift)
        for start in range(0, size, length):
            row, out = x[n, start : start + length], y[n, start : start + length]
            for c in range(len(row)):
                v = row[c] * scale[c] + shift[c]
                out[c] = v * _sigmoid(v)


def _backward_loop(x, grad, weight, bias, moments, grad_x, length, totals, first, last):
    r"""Gradients of maps ``first`` to ``last``; adds those of the weight and the bias to ``totals``.

    With :math:`\hat x = (x - \mu) / \sigma` and g the gradient at the norm's output, :math:`\partial x =
    (w g - \overline{w g} - \hat x \, \overline{w g \hat x}) / \sigma`, means over the group.
    """
    size, channels, groups = x.shape[1], len(weight), moments.shape[2]
    channel = np.arange(length) % channels
    group = channel // (channels // groups)
    sums, products = np.empty(length, f32), np.empty(length, f32)
    scale, shift, slope = np.empty(length, f32), np.empty(length, f32), np.empty(length, f32)
    means = np.empty((2, groups))
    for n in range(first, last):
        sums[:], products[:], means[:] = 0, 0, 0
        _set_scale(weight, bias, moments[:, n], channel, group, scale, shift)
        for start in range(0, size, length):
            row, above = x[n, start : start + length], grad[n, start : start + length]
            out = grad_x[n, start : start + length]
            for c in range(len(row)):
                v = row[c] * scale[c] + shift[c]
                share = _sigmoid(v)
                out[c] = above[c] * share * (f32(1) + v * (f32(1) - share))
                sums[c] += out[c]
                products[c] += out[c] * row[c]
        for c in range(length):
            mean, inverse = moments[:, n, group[c]]
            product = (products[c] - mean * sums[c]) * inverse
            totals[0, channel[c]] += product
            totals[1, channel[c]] += sums[c]
            means[0, group[c]] += weight[channel[c]] * sums[c]
            means[1, group[c]] += weight[channel[c]] * product
        means *= groups / size
        for c in range(length):
            mean, inverse = moments[:, n, group[c]]
            slope[c] = -means[1, group[c]] * inverse * inverse
            shift[c] = (means[1, group[c]] * mean * inverse - means[0, group[c]]) * inverse
        for start in range(0, size, length):
            row, out = x[n, start : start + length], grad_x[n, start : start + length]
            for c in range(len(row)):
                out[c] = out[c] * scale[c] + row[c] * slope[c] + shift[c]


@inlined
def _set_scale(weight, bias, moments, channel, group, scale, shift):
    """The norm of one map as ``x * scale + shift``."""
    for c in range(len(channel)):
        scale[c] = moments[1, group[c]] * weight[channel[c]]
        shift[c] = bias[channel[c]] - moments[0, group[c]] * moments[1, group[c]] * weight[channel[c]]
