"""ConvMixer (Trockman and Kolter 2022, arXiv:2201.09792)."""

import torch
from torch import nn

from .layers import init_fan_out_


class ConvMixerBlock(nn.Module):
    """``x = x + BN(GELU(depthwise 11 x 11 (x)))``, then ``BN(GELU(1 x 1 (x)))``; (B, dim, H, W) -> (B, dim, H, W)."""

    def __init__(self, dim: int):
        super().__init__()
        self.conv_dw = nn.Conv2d(dim, dim, 11, padding="same", groups=dim)
        self.norm_1 = nn.BatchNorm2d(dim)
        self.conv_pw = nn.Conv2d(dim, dim, 1)
        self.norm_2 = nn.BatchNorm2d(dim)
        self.act = nn.GELU()
        init_fan_out_(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.norm_1(self.act(self.conv_dw(x)))
        return self.norm_2(self.act(self.conv_pw(x)))
