"""IncepU: the U-shaped Inception translator of SimVP (Gao et al. 2022, arXiv:2206.05099)."""

from collections import OrderedDict

import torch
from torch import nn

from .layers import check_divisible, merge_frames, split_frames

KERNELS = (3, 5, 7, 11)
GROUPS = 8


class Inception(nn.Module):
    """1 x 1 bottleneck to ``mid`` channels, then the sum of grouped convolutions with kernels 3, 5, 7 and 11.

    (B, dim_in, H, W) -> (B, dim_out, H, W). Where 8 groups do not divide ``mid``, there is one group.
    """

    def __init__(self, dim_in: int, mid: int, dim_out: int):
        super().__init__()
        groups = 1 if mid % GROUPS else GROUPS
        check_divisible(dim_out, groups, "incepu", "groups")
        self.conv1 = nn.Conv2d(dim_in, mid, 1)
        self.layers = nn.ModuleList(
            nn.Sequential(
                OrderedDict(
                    conv=nn.Conv2d(mid, dim_out, kernel, padding=kernel // 2, groups=groups),
                    norm=nn.GroupNorm(groups, dim_out),
                    act=nn.LeakyReLU(0.2, inplace=True),
                )
            )
            for kernel in KERNELS
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(x)
        return sum(branch(x) for branch in self.layers)


class IncepU(nn.Module):
    """``depth`` Inception blocks down and up again, joined by skips; (B, T, C, H, W) -> (B, T, C, H, W).

    Time and channels share one axis of ``channels`` = T * C. There is no change of resolution.
    """

    def __init__(self, channels: int, hidden: int, depth: int):
        super().__init__()
        mid = hidden // 2
        self.enc = nn.ModuleList(Inception(channels if i == 0 else hidden, mid, hidden) for i in range(depth))
        self.dec = nn.ModuleList(
            Inception(hidden if i == 0 else 2 * hidden, mid, channels if i == depth - 1 else hidden)
            for i in range(depth)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = merge_frames(x)  # (B, T*C, H, W)
        skips = []
        for block in self.enc:
            z = block(z)
            skips.append(z)
        z = self.dec[0](skips.pop())
        for block in self.dec[1:]:
            z = block(torch.cat([z, skips.pop()], dim=1))
        return split_frames(z, x.shape[1])
