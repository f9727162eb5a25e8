"""Residual lookup-free quantization of Tables 4 and 11."""

from .library import LibraryQuantizer
from .registry import register_quantizer


@register_quantizer("residual_lfq", "ResidualLFQ: lookup-free quantization of what the quantizers before left over")
class ResidualLFQ(LibraryQuantizer):
    """Residual LFQ (Yu et al. 2023). Further settings: those of ``ResidualLFQ`` and ``LFQ``.

    Args:
        codebook_size: a power of 2.
    """

    def __init__(
        self, dim: int, codebook_size: int = 256, num_quantizers: int = 8, aux_loss_weight: float = 1.0, **settings
    ):
        super().__init__(
            dim, "ResidualLFQ", aux_loss_weight, codebook_size=codebook_size, num_quantizers=num_quantizers, **settings
        )
