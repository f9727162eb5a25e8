"""ConvNeXt (Liu et al. 2022, arXiv:2201.03545)."""

from timm.models.convnext import ConvNeXtBlock as TimmBlock

from .layers import init_fan_out_


class ConvNeXtBlock(TimmBlock):
    """timm's block with 1 x 1 convolutions, started with He's initialisation; (B, dim, H, W) -> (B, dim, H, W)."""

    def __init__(self, dim: int, *, mlp_ratio: float, drop_path: float):
        super().__init__(dim, mlp_ratio=mlp_ratio, conv_mlp=True, ls_init_value=1e-6, drop_path=drop_path)
        init_fan_out_(self)
