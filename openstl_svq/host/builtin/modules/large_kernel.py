"""Large-kernel attention, the common ground of VAN, gSTA and TAU (Guo et al. 2022, arXiv:2202.09741)."""

from collections import OrderedDict

import torch
from torch import nn

from .layers import MetaFormerBlock, init_fan_out_


class LargeKernelConv(nn.Module):
    """A 21 x 21 receptive field out of three cheap convolutions.

    Depthwise 5 x 5, depthwise 7 x 7 with dilation 3, then 1 x 1: (B, dim, H, W) -> (B, out_dim, H, W).
    """

    def __init__(self, dim: int, out_dim: int):
        super().__init__()
        self.conv0 = nn.Conv2d(dim, dim, 5, padding=2, groups=dim)
        self.conv_spatial = nn.Conv2d(dim, dim, 7, padding=9, dilation=3, groups=dim)
        self.conv1 = nn.Conv2d(dim, out_dim, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv1(self.conv_spatial(self.conv0(x)))


class ProjectedGate(nn.Module):
    """``x + P2(gate(GELU(P1(x))))`` with 1 x 1 projections; ``gate`` keeps the shape (B, dim, H, W)."""

    def __init__(self, dim: int, gate: nn.Module):
        super().__init__()
        self.proj_1 = nn.Conv2d(dim, dim, 1)
        self.spatial_gating_unit = gate
        self.proj_2 = nn.Conv2d(dim, dim, 1)
        self.act = nn.GELU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.proj_2(self.spatial_gating_unit(self.act(self.proj_1(x))))


class ConvFeedForward(nn.Module):
    """1 x 1 expansion, depthwise 3 x 3, GELU, 1 x 1 projection, on (B, dim, H, W) maps."""

    def __init__(self, dim: int, hidden_dim: int, drop: float):
        super().__init__()
        self.fc1 = nn.Conv2d(dim, hidden_dim, 1)
        depthwise = nn.Conv2d(hidden_dim, hidden_dim, 3, padding=1, groups=hidden_dim)
        self.dwconv = nn.Sequential(OrderedDict(dwconv=depthwise))  # nested for the sake of the state-dict name
        self.fc2 = nn.Conv2d(hidden_dim, dim, 1)
        self.drop = nn.Dropout(drop)
        self.act = nn.GELU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.drop(self.act(self.dwconv(self.fc1(x))))
        return self.drop(self.fc2(x))


class LargeKernelBlock(MetaFormerBlock):
    """MetaFormer block with BatchNorm, a large-kernel ``gate`` and the convolutional feed-forward."""

    def __init__(self, dim: int, gate: nn.Module, *, mlp_ratio: float, drop: float, drop_path: float):
        super().__init__(
            dim,
            norm=nn.BatchNorm2d,
            attn=ProjectedGate(dim, gate),
            mlp=ConvFeedForward(dim, int(dim * mlp_ratio), drop),
            scale=torch.full((dim,), 1e-2),
            drop_path=drop_path,
        )
        init_fan_out_(self.mlp)
