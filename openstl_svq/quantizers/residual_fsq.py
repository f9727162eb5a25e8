"""Residual finite scalar quantization of Tables 4 and 11."""

from collections.abc import Sequence

from .library import LibraryQuantizer
from .registry import register_quantizer


@register_quantizer("residual_fsq", "ResidualFSQ: rounds a few channels to levels, residually; no codebook to learn")
class ResidualFSQ(LibraryQuantizer):
    """Residual FSQ (Mentzer et al. 2023). Further settings: those of ``ResidualFSQ`` and ``FSQ``.

    Args:
        levels: per channel of the code; their product is the codebook size.
    """

    def __init__(
        self,
        dim: int,
        levels: Sequence[int] = (8, 5, 5, 3),
        num_quantizers: int = 8,
        aux_loss_weight: float = 1.0,
        **settings,
    ):
        levels = list(levels) if isinstance(levels, tuple) else levels  # others are refused
        super().__init__(dim, "ResidualFSQ", aux_loss_weight, levels=levels, num_quantizers=num_quantizers, **settings)
