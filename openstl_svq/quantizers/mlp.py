"""The control: the function class of SVQ without a codebook, trained directly."""

from .registry import register_quantizer
from .svq import SVQ, FusedSVQ


@register_quantizer("mlp", "the control: a two-layer MLP with SVQ's function at step 0, without a codebook")
class MLP(FusedSVQ):
    """q = ReLU(x W1^T + b1) W^T + b with W (C', d), initialised as an SVQ's fold W = (W2^T M)^T, b = b2 M.

    Drawn after the same seed and with the same settings, an `SVQ` is the same function at the first step. SVQ's
    codebook changes how that function is trained, not what it can express: the difference between the two is the effect
    of the codebook.

    Args:
        dim: C', channels of the latent.
        codebook_size, hidden_dim, init, init_scale: of the SVQ whose fold is the initialisation.
        norm, residual: of the output, as SVQ's.
    """

    def __init__(
        self,
        dim: int,
        codebook_size: int = 10_000,
        hidden_dim: int | None = 128,
        init: str = "kaiming_uniform",
        norm: str | None = None,
        residual: bool = False,
        init_scale: float | str = 1.0,
    ):
        super().__init__(
            SVQ(dim, codebook_size, hidden_dim, init=init, norm=norm, residual=residual, init_scale=init_scale)
        )
