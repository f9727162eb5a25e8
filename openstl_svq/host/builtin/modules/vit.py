"""Vision Transformer (Dosovitskiy et al. 2021, arXiv:2010.11929)."""

import torch
from timm.models.vision_transformer import Block
from torch import nn

from .layers import check_divisible, init_trunc_normal_, map_to_tokens, tokens_to_map

HEADS = 8


class ViTBlock(Block):
    """timm's pre-norm block on maps: (B, dim, H, W) -> (B, dim, H, W); every grid point is a token."""

    def __init__(self, dim: int, *, mlp_ratio: float, drop: float, drop_path: float):
        check_divisible(dim, HEADS, "vit", "attention heads")
        super().__init__(
            dim,
            num_heads=HEADS,
            mlp_ratio=mlp_ratio,
            qkv_bias=True,
            proj_drop=drop,
            drop_path=drop_path,
            norm_layer=nn.LayerNorm,
        )
        init_trunc_normal_(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return tokens_to_map(super().forward(map_to_tokens(x)), tuple(x.shape[2:]))
