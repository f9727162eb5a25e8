"""gSTA: gated spatiotemporal attention of SimVP v2 (Tan et al. 2022, arXiv:2211.12509)."""

import torch
import torch.nn.functional as F

from .large_kernel import LargeKernelBlock, LargeKernelConv
from .layers import init_fan_out_


class GatedLargeKernel(LargeKernelConv):
    """``f * sigmoid(g)``, where the large-kernel convolution gives both halves ``[f, g]``."""

    def __init__(self, dim: int):
        super().__init__(dim, 2 * dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.glu(super().forward(x), dim=1)


class GSTABlock(LargeKernelBlock):
    """(B, dim, H, W) -> (B, dim, H, W)."""

    def __init__(self, dim: int, *, mlp_ratio: float, drop: float, drop_path: float):
        super().__init__(dim, GatedLargeKernel(dim), mlp_ratio=mlp_ratio, drop=drop, drop_path=drop_path)
        init_fan_out_(self.attn)
