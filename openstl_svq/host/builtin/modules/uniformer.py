"""UniFormer (Li et al. 2022, arXiv:2201.09450): local convolutional blocks, then global attention blocks."""

import torch
from timm.layers import DropPath, Mlp
from timm.models.vision_transformer import Attention
from torch import nn

from .layers import check_divisible, init_fan_out_, init_trunc_normal_, map_to_tokens, tokens_to_map

HEADS = 8


class LocalBlock(nn.Module):
    """Convolutional relation aggregator, (B, dim, H, W) -> (B, dim, H, W).

    x = x + DW3x3(x)
    x = x + DropPath(P2(DW5x5(P1(BN(x)))))
    x = x + DropPath(MLP(BN(x)))
    """

    def __init__(self, dim: int, *, mlp_ratio: float, drop: float, drop_path: float):
        super().__init__()
        self.pos_embed = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.norm1 = nn.BatchNorm2d(dim)
        self.conv1 = nn.Conv2d(dim, dim, 1)
        self.conv2 = nn.Conv2d(dim, dim, 1)
        self.attn = nn.Conv2d(dim, dim, 5, padding=2, groups=dim)
        self.norm2 = nn.BatchNorm2d(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio), drop=drop, use_conv=True)
        self.drop_path = DropPath(drop_path)
        init_fan_out_(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.pos_embed(x)
        x = x + self.drop_path(self.conv2(self.attn(self.conv1(self.norm1(x)))))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class GlobalBlock(nn.Module):
    """Self-attention over all grid points, (B, dim, H, W) -> (B, dim, H, W); dim divisible by 8.

    x = x + DW3x3(x)
    x = x + DropPath(gamma_1 * MHSA(LN(x)))
    x = x + DropPath(gamma_2 * MLP(LN(x)))
    """

    def __init__(self, dim: int, *, mlp_ratio: float, drop: float, drop_path: float):
        super().__init__()
        check_divisible(dim, HEADS, "uniformer", "attention heads")
        self.gamma_1 = nn.Parameter(torch.full((dim,), 1e-6))
        self.gamma_2 = nn.Parameter(torch.full((dim,), 1e-6))
        self.pos_embed = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.norm1 = nn.LayerNorm(dim)
        self.attn = Attention(dim, num_heads=HEADS, qkv_bias=True, proj_drop=drop)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio), drop=drop)
        self.drop_path = DropPath(drop_path)
        init_trunc_normal_(self.attn)
        init_trunc_normal_(self.mlp)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grid = tuple(x.shape[2:])
        x = map_to_tokens(x + self.pos_embed(x))  # (B, H*W, dim)
        x = x + self.drop_path(self.gamma_1 * self.attn(self.norm1(x)))
        x = x + self.drop_path(self.gamma_2 * self.mlp(self.norm2(x)))
        return tokens_to_map(x, grid)
