"""VAN: visual attention network (Guo et al. 2022, arXiv:2202.09741)."""

import torch

from .large_kernel import LargeKernelBlock, LargeKernelConv
from .layers import init_fan_out_


class LargeKernelAttention(LargeKernelConv):
    """``x * LKC(x)``: the large-kernel convolution is the attention map."""

    def __init__(self, dim: int):
        super().__init__(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * super().forward(x)


class VANBlock(LargeKernelBlock):
    """(B, dim, H, W) -> (B, dim, H, W)."""

    def __init__(self, dim: int, *, mlp_ratio: float, drop: float, drop_path: float):
        super().__init__(dim, LargeKernelAttention(dim), mlp_ratio=mlp_ratio, drop=drop, drop_path=drop_path)
        init_fan_out_(self.attn)
