"""Spatial encoder and decoder of SimVP (Gao et al. 2022, arXiv:2206.05099), applied to each frame alone."""

from collections import OrderedDict

import torch
from torch import nn

from .layers import init_trunc_normal_


def conv_stage(
    dim_in: int, dim_out: int, kernel_size: int, *, down: bool = False, up: bool = False, act_inplace: bool = True
) -> nn.Module:
    """Convolution (stride 2 if ``down``, pixel shuffle by 2 if ``up``), GroupNorm of 2 groups, SiLU."""
    conv = nn.Conv2d(dim_in, 4 * dim_out if up else dim_out, kernel_size, 2 if down else 1, kernel_size // 2)
    init_trunc_normal_(conv)
    layers = OrderedDict(
        conv=nn.Sequential(conv, nn.PixelShuffle(2)) if up else conv,
        norm=nn.GroupNorm(2, dim_out),
        act=nn.SiLU(inplace=act_inplace),
    )
    return nn.Sequential(OrderedDict(conv=nn.Sequential(layers)))  # nested for the sake of the state-dict names


class Encoder(nn.Module):
    """``2 * halvings`` convolution stages, every second one halving the grid.

    (N, C, H, W) -> latent (N, hid_S, H / f, W / f) with f = 2 ** halvings, and the first stage's output
    (N, hid_S, H, W), the skip for the decoder.
    """

    def __init__(self, channels: int, hid_S: int, halvings: int, kernel_size: int, *, act_inplace: bool = True):
        super().__init__()
        self.enc = nn.Sequential(
            *(
                conv_stage(channels if i == 0 else hid_S, hid_S, kernel_size, down=i % 2 == 1, act_inplace=act_inplace)
                for i in range(2 * halvings)
            )
        )

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        skip = self.enc[0](x)
        return self.enc[1:](skip), skip


class Decoder(nn.Module):
    """The encoder's mirror image: (N, hid_S, H / f, W / f) and the skip (N, hid_S, H, W) -> (N, C, H, W)."""

    def __init__(self, hid_S: int, channels: int, halvings: int, kernel_size: int, *, act_inplace: bool = True):
        super().__init__()
        self.dec = nn.Sequential(
            *(
                conv_stage(hid_S, hid_S, kernel_size, up=i % 2 == 0, act_inplace=act_inplace)
                for i in range(2 * halvings)
            )
        )
        self.readout = nn.Conv2d(hid_S, channels, 1)

    def forward(self, hid: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        return self.readout(self.dec[-1](self.dec[:-1](hid) + skip))
