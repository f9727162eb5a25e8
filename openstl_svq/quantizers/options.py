"""Forms of the output of a regression that the paper does not have; off by default, and then nothing is computed."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .base import full_precision
from .checks import check_bool, check_choice

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "group": lambda dim: nn.GroupNorm(1 if dim % 2 else 2, dim),  # as the encoder's
}


class OutputForm(nn.Module):
    r"""q -> norm(q), or z + g * norm(q).

    Args:
        dim: C', channels of the latent.
        norm: of the quantized latent, a key of ``NORMS``; None for none.
        residual: whether the quantized latent is added to the latent z, times a learned factor g per channel that is 0
            at first: the first step is the identity.

    State dict: that of ``norm``; ``scale`` (C') with ``residual``.
    """

    def __init__(self, dim: int, norm: str | None = None, residual: bool = False):
        super().__init__()
        self.norm = None if norm is None else NORMS[check_choice("norm", norm, NORMS)](dim)
        self.scale = nn.Parameter(torch.zeros(dim)) if check_bool("residual", residual) else None

    def forward(self, quantized: Tensor, z: Tensor) -> Tensor:
        """Both of shape (N, C', H, W)."""
        if self.norm is not None:
            with full_precision(z.device):
                quantized = self.norm(quantized.to(next(self.norm.parameters()).dtype)).to(z.dtype)
        return quantized if self.scale is None else z + self.scale.to(z.dtype)[:, None, None] * quantized
