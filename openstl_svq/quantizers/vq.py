"""VQ of Tables 4 and 11."""

from .library import LibraryQuantizer
from .registry import register_quantizer


@register_quantizer("vq", "VectorQuantize: every token becomes its nearest code, codebook by moving averages")
class VQ(LibraryQuantizer):
    """Vector quantization (van den Oord et al. 2017). Further settings: those of ``VectorQuantize``."""

    def __init__(self, dim: int, codebook_size: int = 512, aux_loss_weight: float = 1.0, **settings):
        super().__init__(dim, "VectorQuantize", aux_loss_weight, codebook_size=codebook_size, **settings)
