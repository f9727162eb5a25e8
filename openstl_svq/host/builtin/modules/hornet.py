"""HorNet: recursive gated convolutions (Rao et al. 2022, arXiv:2207.14284)."""

import torch
from timm.layers import DropPath
from torch import nn

from .layers import check_divisible, init_fan_out_, init_trunc_normal_

ORDER = 4


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (B, C, H, W).

    Elementwise and not ``F.layer_norm`` on permuted axes: as fast in this block, the maps stay in their layout, and
    the FLOPs that fvcore counts are those published for HorNet.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        variance, mean = torch.var_mean(x, dim=1, correction=0, keepdim=True)
        x = (x - mean) * torch.rsqrt(variance + self.eps)
        return self.weight.view(-1, 1, 1) * x + self.bias.view(-1, 1, 1)


class RecursiveGatedConv(nn.Module):
    """g^n Conv with n = 4: interactions of order n between positions, at the cost of one depthwise 7 x 7.

    One projection gives p_0 and q_0 ... q_3, of dim/8, dim/8, dim/4, dim/2 and dim channels; then

        p_(k+1) = g_k(p_k) * DW(q_k),  g_0 the identity, g_k a 1 x 1 convolution that doubles the channels.

    The paper's factor 1/alpha on the depthwise part is 1 here.
    """

    def __init__(self, dim: int):
        super().__init__()
        check_divisible(dim, 2 ** (ORDER - 1), "hornet", f"parts (order {ORDER})")
        self.widths = [dim >> k for k in reversed(range(ORDER))]
        self.proj_in = nn.Conv2d(dim, 2 * dim, 1)
        self.dwconv = nn.Conv2d(sum(self.widths), sum(self.widths), 7, padding=3, groups=sum(self.widths))
        self.proj_out = nn.Conv2d(dim, dim, 1)
        self.pws = nn.ModuleList(nn.Conv2d(width, 2 * width, 1) for width in self.widths[:-1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        p, q = self.proj_in(x).split([self.widths[0], sum(self.widths)], dim=1)
        first, *rest = self.dwconv(q).split(self.widths, dim=1)
        p = p * first
        for widen, gate in zip(self.pws, rest, strict=True):
            p = widen(p) * gate
        return self.proj_out(p)


class HorNetBlock(nn.Module):
    """(B, dim, H, W) -> (B, dim, H, W); dim divisible by 8.

    x = x + DropPath(gamma1 * gnconv(LN(x)))
    x = x + DropPath(gamma2 * MLP(LN(x)))
    """

    def __init__(self, dim: int, *, mlp_ratio: float, drop_path: float):
        super().__init__()
        self.gamma1 = nn.Parameter(torch.full((dim,), 1e-6))
        self.gamma2 = nn.Parameter(torch.full((dim,), 1e-6))
        self.norm1 = ChannelNorm(dim, eps=1e-6)
        self.gnconv = RecursiveGatedConv(dim)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1 = nn.Linear(dim, int(dim * mlp_ratio))
        self.pwconv2 = nn.Linear(int(dim * mlp_ratio), dim)
        self.act = nn.GELU()
        self.drop_path = DropPath(drop_path)
        init_fan_out_(self.gnconv)
        init_trunc_normal_(self.pwconv1)
        init_trunc_normal_(self.pwconv2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.drop_path(self.gamma1.view(-1, 1, 1) * self.gnconv(self.norm1(x)))
        y = self.norm2(x.permute(0, 2, 3, 1))  # (B, H, W, dim)
        y = self.gamma2 * self.pwconv2(self.act(self.pwconv1(y)))
        return x + self.drop_path(y.permute(0, 3, 1, 2))
