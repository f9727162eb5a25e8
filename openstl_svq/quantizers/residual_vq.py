"""Residual VQ of Tables 4 and 11."""

from .library import LibraryQuantizer
from .registry import register_quantizer


@register_quantizer("residual_vq", "ResidualVQ: each quantizer codes what the ones before it left over")
class ResidualVQ(LibraryQuantizer):
    """Residual VQ (Zeghidour et al. 2022). Further settings: those of ``ResidualVQ`` and ``VectorQuantize``."""

    def __init__(
        self,
        dim: int,
        codebook_size: int = 1024,
        num_quantizers: int = 8,
        shared_codebook: bool = True,
        aux_loss_weight: float = 1.0,
        **settings,
    ):
        super().__init__(
            dim,
            "ResidualVQ",
            aux_loss_weight,
            codebook_size=codebook_size,
            num_quantizers=num_quantizers,
            shared_codebook=shared_codebook,
            **settings,
        )
