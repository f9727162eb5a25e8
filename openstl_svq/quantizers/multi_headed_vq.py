"""Multi-headed VQ of Tables 4 and 11."""

from .library import LibraryQuantizer
from .registry import register_quantizer


@register_quantizer("multi_headed_vq", "VectorQuantize with heads: several codes per token, one shared codebook")
class MultiHeadedVQ(LibraryQuantizer):
    """Multi-headed VQ (Mama et al. 2021): linear maps to `heads` vectors of `codebook_dim` channels and back.

    Args:
        codebook_dim: channels per head; None takes `dim`, as the authors do.
        settings: further ones of ``VectorQuantize``.
    """

    def __init__(
        self,
        dim: int,
        codebook_size: int = 1024,
        heads: int = 8,
        codebook_dim: int | None = None,
        separate_codebook_per_head: bool = False,
        aux_loss_weight: float = 1.0,
        **settings,
    ):
        super().__init__(
            dim,
            "VectorQuantize",
            aux_loss_weight,
            codebook_size=codebook_size,
            heads=heads,
            codebook_dim=codebook_dim,
            separate_codebook_per_head=separate_codebook_per_head,
            **settings,
        )
