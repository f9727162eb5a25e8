"""MogaNet: multi-order gated aggregation (Li et al. 2022, arXiv:2211.03295)."""

import torch
import torch.nn.functional as F
from torch import nn

from .layers import MetaFormerBlock, check_divisible, init_fan_out_


class MultiOrderConv(nn.Module):
    """Depthwise convolutions of growing reach over channel groups in the ratio 1 : 3 : 4, mixed by a 1 x 1.

    All channels pass a 5 x 5; the second group also a 5 x 5 with dilation 2, the third a 7 x 7 with dilation 3.
    """

    def __init__(self, dim: int):
        super().__init__()
        check_divisible(dim, 8, "moga", "parts (split 1 : 3 : 4)")
        self.widths = (dim // 8, 3 * dim // 8, dim // 2)
        _, middle, high = self.widths
        self.DW_conv0 = nn.Conv2d(dim, dim, 5, padding=2, groups=dim)
        self.DW_conv1 = nn.Conv2d(middle, middle, 5, padding=4, dilation=2, groups=middle)
        self.DW_conv2 = nn.Conv2d(high, high, 7, padding=9, dilation=3, groups=high)
        self.PW_conv = nn.Conv2d(dim, dim, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low, middle, high = self.DW_conv0(x).split(self.widths, dim=1)
        return self.PW_conv(torch.cat([low, self.DW_conv1(middle), self.DW_conv2(high)], dim=1))


class GatedAggregation(nn.Module):
    """Spatial mixer: ``x + P2(SiLU(gate(u)) * SiLU(value(u)))`` with u the decomposed feature.

    ``u = SiLU(y + sigma * (y - mean_HW(y)))``, ``y = P1(x)``: sigma re-weights what differs from the mean.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.sigma = nn.Parameter(torch.full((1, dim, 1, 1), 1e-5))
        self.proj_1 = nn.Conv2d(dim, dim, 1)
        self.gate = nn.Conv2d(dim, dim, 1)
        self.value = MultiOrderConv(dim)
        self.proj_2 = nn.Conv2d(dim, dim, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.proj_1(x)
        u = F.silu(y + self.sigma * (y - F.adaptive_avg_pool2d(y, 1)))
        return x + self.proj_2(F.silu(self.gate(u)) * F.silu(self.value(u)))


class ChannelAggregation(nn.Module):
    """Feed-forward with channel aggregation: ``h + sigma * (h - GELU(D h))`` between its two 1 x 1 layers.

    ``D`` gathers all hidden channels into one map, so that each channel is compared with their common part.
    """

    def __init__(self, dim: int, hidden_dim: int, drop: float):
        super().__init__()
        self.sigma = nn.Parameter(torch.full((1, hidden_dim, 1, 1), 1e-5))
        self.fc1 = nn.Conv2d(dim, hidden_dim, 1)
        self.dwconv = nn.Conv2d(hidden_dim, hidden_dim, 3, padding=1, groups=hidden_dim)
        self.fc2 = nn.Conv2d(hidden_dim, dim, 1)
        self.drop = nn.Dropout(drop)
        self.decompose = nn.Conv2d(hidden_dim, 1, 1)
        self.act = nn.GELU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.drop(self.act(self.dwconv(self.fc1(x))))  # (B, hidden_dim, H, W)
        h = h + self.sigma * (h - self.act(self.decompose(h)))
        return self.drop(self.fc2(h))


class MogaBlock(MetaFormerBlock):
    """(B, dim, H, W) -> (B, dim, H, W); dim divisible by 8."""

    def __init__(self, dim: int, *, mlp_ratio: float, drop: float, drop_path: float):
        super().__init__(
            dim,
            norm=nn.BatchNorm2d,
            attn=GatedAggregation(dim),
            mlp=ChannelAggregation(dim, int(dim * mlp_ratio), drop),
            scale=torch.full((1, dim, 1, 1), 1e-5),
            drop_path=drop_path,
        )
        init_fan_out_(self)
