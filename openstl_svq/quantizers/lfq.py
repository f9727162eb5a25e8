"""Lookup-free quantization of Tables 4 and 11."""

from .library import LibraryQuantizer
from .registry import register_quantizer


@register_quantizer("lfq", "LFQ: the signs of log2(codebook_size) channels, with an entropy loss")
class LFQ(LibraryQuantizer):
    """Lookup-free quantization (Yu et al. 2023). Further settings: those of ``LFQ``.

    Args:
        codebook_size: a power of 2.
    """

    def __init__(
        self,
        dim: int,
        codebook_size: int = 8192,
        entropy_loss_weight: float = 0.1,
        aux_loss_weight: float = 1.0,
        **settings,
    ):
        super().__init__(
            dim,
            "LFQ",
            aux_loss_weight,
            codebook_size=codebook_size,
            entropy_loss_weight=entropy_loss_weight,
            **settings,
        )
