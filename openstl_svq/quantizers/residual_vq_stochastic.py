"""Residual VQ with stochastic sampling of codes, of Tables 4 and 11."""

from .registry import register_quantizer
from .residual_vq import ResidualVQ


@register_quantizer("residual_vq_stochastic", "residual_vq that samples codes by distance while it trains")
class StochasticResidualVQ(ResidualVQ):
    """Residual VQ with sampled codes (Lee et al. 2022), at the authors' temperature.

    Args:
        sample_codebook_temp: 0 is the nearest code.
        settings: those of `ResidualVQ`.
    """

    def __init__(self, dim: int, sample_codebook_temp: float = 0.1, **settings):
        super().__init__(dim, stochastic_sample_codes=True, sample_codebook_temp=sample_codebook_temp, **settings)
