"""The contract between quantizers and the models around them."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from .checks import check_positive


@dataclass
class QuantizerOutput:
    """What a quantizer returns for a latent `z` of shape (N, C, H, W), N = batch x time, or for tokens (B, T, C).

    Attributes:
        quantized: shape and dtype of `z`.
        aux_loss: scalar, already weighted, to be added to the prediction loss; zero where there is none. Never in half
            precision.
        weights: (N, H, W, codes), or (B, T, codes) of tokens, regression weights; only with ``return_codes=True``, None for lookup methods.
        indices: ``(N, H, W, *)``, or ``(B, T, *)`` of tokens, integers, one code per token and per group, quantizer or head; -1 where a quantizer was
            dropped. Only with ``return_codes=True``, None for regression methods.
        usage: 0-dim tensors by name (``perplexity``, ``codebook_usage``, ``kurtosis``, ...), which of them depends on
            the quantizer; only with ``return_usage=True``.
    """

    quantized: Tensor
    aux_loss: Tensor
    weights: Tensor | None = None
    indices: Tensor | None = None
    usage: dict[str, Tensor] | None = None


class Quantizer(nn.Module):
    """Base class. A new quantizer implements `quantize` and is registered with `register_quantizer`.

    Args:
        dim: C, the number of channels of the latent.

    Attributes:
        usage_tokens: at most this many tokens, evenly spaced, enter usage statistics that must compute regression
            weights for them; None (default) takes all. For a cheap look during training.
    """

    usage_tokens: int | None = None

    def __init__(self, dim: int):
        super().__init__()
        self.dim = check_positive("dim", dim)

    def forward(self, z: Tensor, *, return_codes: bool = False, return_usage: bool = False) -> QuantizerOutput:
        """Quantizes `z`, (N, C, H, W) or tokens (B, T, C) with the channels last, any sizes and memory layout.

        Tokens are quantized as a frame of one column is: the same function of each.

        Raises:
            ValueError: `z` is not a floating-point tensor of such a shape with C = `dim`.
        """
        self.check_latent(z)
        if z.ndim == 4:
            return self.quantize(z, return_codes=return_codes, return_usage=return_usage)
        column = z.movedim(-1, 1).unsqueeze(-1)  # (B, C, T, 1)
        output = self.quantize(column, return_codes=return_codes, return_usage=return_usage)
        quantized = output.quantized.squeeze(-1).movedim(1, -1)  # (B, T, C)
        weights, indices = (v if v is None else v.squeeze(2) for v in (output.weights, output.indices))
        quantized = quantized.contiguous() if z.is_contiguous() else quantized
        return replace(output, quantized=quantized, weights=weights, indices=indices)

    def check_latent(self, z: Tensor) -> None:
        """Raises ValueError unless `z` is a latent this quantizer takes."""
        channels = z.shape[{4: 1, 3: 2}[z.ndim]] if z.ndim in (3, 4) else None
        if channels != self.dim or not z.is_floating_point():
            raise ValueError(
                f"{type(self).__name__} takes a floating-point latent of shape (N, {self.dim}, H, W), or tokens of "
                f"(B, T, {self.dim}), got {z.dtype} {tuple(z.shape)}"
            )

    def quantize(self, z: Tensor, *, return_codes: bool, return_usage: bool) -> QuantizerOutput:
        """`forward` after the check of `z`, which is always (N, C, H, W)."""
        raise NotImplementedError(f"{type(self).__name__} does not implement quantize")

    def codebook_parameters(self) -> list[nn.Parameter]:
        """The trained parameters whose learning rate ``quantizer_lr`` multiplies; none where there are no such."""
        return []

    def processes_started(self) -> None:
        """To be called before training, once `torch.distributed` knows its processes: what must follow all of them
        (codebooks that are moving averages) can prepare here, before optimizers and wrappers take the parameters."""

    def check_memory(self, tokens: int) -> None:
        """Raises ValueError if a step over `tokens` = N x H x W tokens cannot fit; call it before training starts."""


def to_tokens(z: Tensor) -> Tensor:
    """(N, C, H, W) -> (N*H*W, C). No copy if `z` is channels-last. Also (B, T, C) -> (B*T, C)."""
    if z.ndim == 3:
        return z.reshape(-1, z.shape[-1])
    return z.movedim(1, -1).reshape(-1, z.shape[1])


def from_tokens(tokens: Tensor, like: Tensor) -> Tensor:
    """(N*H*W, C) -> shape and dtype of `like`; contiguous if `like` is, channels-last otherwise."""
    n, c, h, w = like.shape
    z = tokens.to(like.dtype).view(n, h, w, c).movedim(-1, 1)
    return z.contiguous() if like.is_contiguous() else z


def at_least_float32(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def zero_loss(z: Tensor) -> Tensor:
    return z.new_zeros((), dtype=at_least_float32(z.dtype))


def full_precision(device: torch.device) -> AbstractContextManager:
    """A context in which autocast does not lower the precision."""
    return torch.autocast(device.type, enabled=False) if autocasts(device) else nullcontext()


def autocasts(device: torch.device) -> bool:
    """Whether autocast is on for ``device``."""
    return torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)
