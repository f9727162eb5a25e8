"""Depthwise convolutions on a CPU, over channels-last maps: compiled loops where torch's own are slow.

Those are dilated ones, for which torch has no channels-last form, and the gradient of the weights (3 to 12 times as long).
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..compiled import compiled, have_compiler, in_parts, is_traced, threads_for

_THREADED = 2**22  # multiply-adds that are worth a thread: some tenths of a millisecond


class DepthwiseConv2d(nn.Conv2d):
    """``nn.Conv2d`` with one filter per channel, stride 1 and zero padding that keeps the size.

    On a CPU, in float32 and under autocast (which it does not lower), the convolution is the compiled one; elsewhere,
    in a trace and in an export it is torch's. Parameters and results are ``nn.Conv2d``'s.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not _is_compiled_for(x, self):
            return super().forward(x)
        lowered = torch.is_autocast_enabled("cpu")
        y = depthwise_conv2d(x.float(), self.weight, self.bias, self.dilation[0])
        return y.to(torch.get_autocast_dtype("cpu")) if lowered else y


def can_be_compiled(module: nn.Module) -> bool:
    """Whether ``module`` is a convolution that can become a :class:`DepthwiseConv2d`, and numba is there for it."""
    if not have_compiler():
        return False
    if type(module) is not nn.Conv2d or not 1 < module.groups == module.in_channels == module.out_channels:
        return False
    (kernel, width), (dilation, across) = module.kernel_size, module.dilation
    square = kernel == width and dilation == across and kernel % 2 == 1
    same = module.padding in ("same", (dilation * (kernel // 2),) * 2)
    return square and same and module.stride == (1, 1) and module.padding_mode == "zeros"


def _is_compiled_for(x: Tensor, conv: nn.Conv2d) -> bool:
    if is_traced():
        return False
    if x.device.type != "cpu" or x.ndim != 4 or x.shape[1] != conv.in_channels or conv.weight.dtype != torch.float32:
        return False
    return x.dtype == torch.float32 or torch.is_autocast_enabled("cpu")


@torch.library.custom_op("openstl_svq::depthwise_conv2d", mutates_args=())
def depthwise_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    """``F.conv2d(x, weight, bias, padding="same", dilation=dilation, groups=C)`` in float32 on a CPU.

    Args:
        x: ``(N, C, H, W)``; no copy if channels-last.
        weight: ``(C, 1, K, K)``, K odd.
        bias: ``(C,)`` or None.

    Returns:
        ``(N, C, H, W)``, channels-last.
    """
    if dilation == 1:  # torch's loops over channels-last maps are the faster ones
        pixels = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", enabled=False):
            return F.conv2d(pixels, weight, bias, padding=weight.shape[-1] // 2, groups=len(weight))
    out = torch.empty_like(x, memory_format=torch.channels_last)
    start = np.zeros(x.shape[1], np.float32) if bias is None else bias.detach().contiguous().numpy()
    arguments = _pixels(x), _taps(weight), start, _pixels(out), dilation
    _by_rows(x, weight, lambda part, first, last: compiled(_forward_loop)(*arguments, first, last))
    return out


@depthwise_conv2d.register_fake
def _(x, weight, bias, dilation):
    return torch.empty_like(x, memory_format=torch.channels_last)


@torch.library.custom_op("openstl_svq::depthwise_weight_grad", mutates_args=())
def depthwise_weight_grad(x: Tensor, grad: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """Gradient of :func:`depthwise_conv2d` with respect to ``weight``."""
    pixels, gradients = _pixels(x), _pixels(grad)
    sums = np.zeros((_threads(x, weight), *weight.shape[2:], len(weight)), np.float32)  # (threads, K, K, C)
    _by_rows(
        x,
        weight,
        lambda part, first, last: compiled(_weight_loop)(pixels, gradients, sums[part], dilation, first, last),
    )
    return torch.from_numpy(sums.sum(0)).permute(2, 0, 1).unsqueeze(1).contiguous()


@depthwise_weight_grad.register_fake
def _(x, grad, weight, dilation):
    return torch.empty(weight.shape, dtype=weight.dtype, device=weight.device)


def _save(ctx, inputs, output):
    x, weight, bias, ctx.dilation = inputs
    ctx.save_for_backward(x, weight)
    ctx.has_bias = bias is not None


def _backward(ctx, grad):
    x, weight = ctx.saved_tensors
    grad_x = grad_weight = grad_bias = None
    if ctx.needs_input_grad[0]:
        grad_x = depthwise_conv2d(grad, weight.flip(2, 3), None, ctx.dilation)
    if ctx.needs_input_grad[1]:
        grad_weight = depthwise_weight_grad(x, grad, weight, ctx.dilation)
    if ctx.has_bias and ctx.needs_input_grad[2]:
        grad_bias = grad.sum((0, 2, 3))
    return grad_x, grad_weight, grad_bias, None


depthwise_conv2d.register_autograd(_backward, setup_context=_save)


def _pixels(x: Tensor) -> np.ndarray:
    """``(N, C, H, W)`` -> ``(N, H, W, C)`` in memory."""
    return x.detach().permute(0, 2, 3, 1).contiguous().numpy()


def _taps(weight: Tensor) -> np.ndarray:
    """``(C, 1, K, K)`` -> ``(K, K, C)`` in memory."""
    return weight.detach()[:, 0].permute(1, 2, 0).contiguous().numpy()


def _threads(x: Tensor, weight: Tensor) -> int:
    return threads_for(x.numel() * weight[0].numel(), _THREADED, x.shape[0] * x.shape[2])


def _by_rows(x: Tensor, weight: Tensor, work) -> None:
    """``work(part, first, last)`` for equal parts of the N * H rows of ``x``, at the same time."""
    in_parts(x.shape[0] * x.shape[2], _threads(x, weight), work)


def _forward_loop(x, taps, bias, out, dilation, first, last):
    """Rows ``first`` to ``last`` of ``out``; channels innermost, where they lie side by side."""
    _, height, width, channels = x.shape
    size = len(taps)
    reach = dilation * (size // 2)
    for row in range(first, last):
        n, i = row // height, row % height
        for j in range(width):
            pixel = out[n, i, j]
            pixel[:] = bias
            for k in range(size):
                y = i + k * dilation - reach
                if y < 0 or y >= height:
                    continue
                for m in range(size):
                    z = j + m * dilation - reach
                    if z < 0 or z >= width:
                        continue
                    source, tap = x[n, y, z], taps[k, m]
                    for c in range(channels):
                        pixel[c] += source[c] * tap[c]


def _weight_loop(x, grad, sums, dilation, first, last):
    """Adds what rows ``first`` to ``last`` of ``grad`` give to the gradient of the taps."""
    _, height, width, channels = x.shape
    size = len(sums)
    reach = dilation * (size // 2)
    for row in range(first, last):
        n, i = row // height, row % height
        for k in range(size):
            y = i + k * dilation - reach
            if y < 0 or y >= height:
                continue
            for m in range(size):
                shift = m * dilation - reach
                tap = sums[k, m]
                for j in range(max(0, -shift), min(width, width - shift)):
                    pixel, source = grad[n, i, j], x[n, y, j + shift]
                    for c in range(channels):
                        tap[c] += pixel[c] * source[c]
