"""TAU: temporal attention unit (Tan et al. 2023, arXiv:2206.12126).

Channels hold time x features, so attention over channels is attention over time.
"""

import torch
import torch.nn.functional as F
from torch import nn

from .large_kernel import LargeKernelBlock, LargeKernelConv


class TemporalAttention(LargeKernelConv):
    """``x * LKC(x) * s``: attention within frames, and squeeze-and-excitation ``s`` across frames.

    ``s = sigmoid(W2 ReLU(W1 mean_HW(x)))``, one factor per channel, 16 hidden units (fewer below 64 channels).
    """

    def __init__(self, dim: int):
        super().__init__(dim, dim)
        if dim < 4:
            raise ValueError(f"tau: needs at least 4 channels to squeeze, got {dim}; raise hid_S or hid_T")
        hidden_dim = dim // max(dim // 16, 4)
        self.fc = nn.Sequential(
            nn.Linear(dim, hidden_dim, bias=False), nn.ReLU(), nn.Linear(hidden_dim, dim, bias=False), nn.Sigmoid()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        across_frames = self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))[:, :, None, None]  # (B, dim, 1, 1)
        return across_frames * super().forward(x) * x


class TAUBlock(LargeKernelBlock):
    """(B, dim, H, W) -> (B, dim, H, W). The attention part keeps torch's default initialisation."""

    def __init__(self, dim: int, *, mlp_ratio: float, drop: float, drop_path: float):
        super().__init__(dim, TemporalAttention(dim), mlp_ratio=mlp_ratio, drop=drop, drop_path=drop_path)
