"""Pieces that several translators share: weight initialisation, layout changes, checks, the residual block."""

from collections.abc import Callable

import torch
from timm.layers import DropPath
from torch import nn


def init_fan_out_(module: nn.Module) -> None:
    """He initialisation for every convolution in ``module``: N(0, 2 / fan_out), biases zero.

    torch's own ``fan_out`` ignores groups and would start depthwise convolutions near zero, hence not
    ``kaiming_normal_``.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            fan_out = layer.out_channels * layer.kernel_size[0] * layer.kernel_size[1] / layer.groups
            nn.init.normal_(layer.weight, std=(2.0 / fan_out) ** 0.5)
            nn.init.zeros_(layer.bias)


def init_trunc_normal_(module: nn.Module) -> None:
    """ViT's initialisation for every convolution and linear layer in ``module``: N(0, 0.02^2), biases zero."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)


def merge_frames(x: torch.Tensor) -> torch.Tensor:
    """(B, T, C, H, W) -> (B, T*C, H, W); channels-last if the frames are."""
    frames = x.flatten(0, 1)
    if frames.is_contiguous() or not frames.is_contiguous(memory_format=torch.channels_last):
        return x.flatten(1, 2)
    return x.permute(0, 3, 4, 1, 2).flatten(3).permute(0, 3, 1, 2)


def split_frames(x: torch.Tensor, frames: int) -> torch.Tensor:
    """(B, T*C, H, W) -> (B, T, C, H, W), T = ``frames``; each frame channels-last if the map is."""
    x = x.unflatten(1, (frames, -1))
    if x.is_contiguous():
        return x
    return x.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)


def map_to_tokens(x: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) -> (B, H*W, C)."""
    return x.flatten(2).transpose(1, 2)


def tokens_to_map(tokens: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """(B, H*W, C) -> (B, C, H, W)."""
    return tokens.transpose(1, 2).unflatten(2, grid)


def check_divisible(channels: int, divisor: int, owner: str, why: str) -> None:
    """Raises ValueError unless ``channels`` divides into ``divisor`` equal parts."""
    if channels % divisor:
        raise ValueError(
            f"{owner}: {channels} channels do not divide into {divisor} {why}; "
            f"choose T * hid_S and hid_T divisible by {divisor}"
        )


class MetaFormerBlock(nn.Module):
    """Token mixer and feed-forward, each in a scaled residual branch (Yu et al. 2022, arXiv:2111.11418).

        x = x + DropPath(scale_1 * attn(norm1(x)))
        x = x + DropPath(scale_2 * mlp(norm2(x)))

    Args:
        norm: makes a normalisation layer for ``dim`` channels.
        attn: token mixer, (B, dim, H, W) -> (B, dim, H, W).
        mlp: feed-forward, same shapes.
        scale: initial value of both layer scales, ``dim`` entries in any shape (the shape of the parameters).
        drop_path: stochastic-depth rate of both branches.
    """

    def __init__(
        self,
        dim: int,
        *,
        norm: Callable[[int], nn.Module],
        attn: nn.Module,
        mlp: nn.Module,
        scale: torch.Tensor,
        drop_path: float,
    ):
        super().__init__()
        self.layer_scale_1 = nn.Parameter(scale.clone())
        self.layer_scale_2 = nn.Parameter(scale.clone())
        self.norm1 = norm(dim)
        self.attn = attn
        self.norm2 = norm(dim)
        self.mlp = mlp
        self.drop_path = DropPath(drop_path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.drop_path(self.layer_scale_1.view(-1, 1, 1) * self.attn(self.norm1(x)))
        return x + self.drop_path(self.layer_scale_2.view(-1, 1, 1) * self.mlp(self.norm2(x)))
