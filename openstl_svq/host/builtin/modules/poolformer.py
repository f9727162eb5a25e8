"""PoolFormer: average pooling as token mixer (Yu et al. 2022, arXiv:2111.11418)."""

from functools import partial

import torch
import torch.nn.functional as F
from timm.layers import Mlp
from torch import nn

from .layers import MetaFormerBlock, init_trunc_normal_


class Pooling(nn.Module):
    """3 x 3 average minus the input, since the block adds the input again; (B, C, H, W) -> (B, C, H, W)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False) - x


class PoolFormerBlock(MetaFormerBlock):
    """(B, dim, H, W) -> (B, dim, H, W). ``norm1.bias`` has no effect: pooling minus identity cancels constants."""

    def __init__(self, dim: int, *, mlp_ratio: float, drop: float, drop_path: float):
        super().__init__(
            dim,
            norm=partial(nn.GroupNorm, 1),
            attn=Pooling(),
            mlp=Mlp(dim, int(dim * mlp_ratio), drop=drop, use_conv=True),
            scale=torch.full((dim,), 1e-5),
            drop_path=drop_path,
        )
        init_trunc_normal_(self.mlp)
