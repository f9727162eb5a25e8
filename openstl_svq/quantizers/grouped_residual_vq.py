"""Grouped residual VQ of Tables 4 and 11."""

from .library import LibraryQuantizer
from .registry import register_quantizer


@register_quantizer("grouped_residual_vq", "GroupedResidualVQ: a residual_vq for each group of channels")
class GroupedResidualVQ(LibraryQuantizer):
    """Grouped residual VQ (Yang et al. 2023). Further settings: those of ``ResidualVQ`` and ``VectorQuantize``."""

    def __init__(
        self,
        dim: int,
        codebook_size: int = 1024,
        num_quantizers: int = 8,
        groups: int = 2,
        shared_codebook: bool = True,
        aux_loss_weight: float = 1.0,
        **settings,
    ):
        super().__init__(
            dim,
            "GroupedResidualVQ",
            aux_loss_weight,
            codebook_size=codebook_size,
            num_quantizers=num_quantizers,
            groups=groups,
            shared_codebook=shared_codebook,
            **settings,
        )
