"""Swin Transformer (Liu et al. 2021, arXiv:2103.14030)."""

import torch
from timm.models.swin_transformer import SwinTransformerBlock
from torch import nn

from .layers import check_divisible, init_trunc_normal_

HEADS = 8


def window_size(grid: tuple[int, int]) -> int:
    """Side of the square window: 7 where the height divides by it, else a 16th of the height, from 4 to 8."""
    height = grid[0]
    side = 7 if height % 7 == 0 else min(max(height // 16, 4), 8)
    return min(side, *grid)


class SwinBlock(SwinTransformerBlock):
    """timm's block on maps: (B, dim, H, W) -> (B, dim, H, W), H and W divisible by the window.

    Blocks of odd ``index`` shift the windows by half of their side. Unlike in the paper, no mask separates the two
    edges that a shifted window joins: the grid is treated as periodic (which a global one is, along longitude).
    """

    def __init__(self, dim: int, grid: tuple[int, int], *, index: int, mlp_ratio: float, drop: float, drop_path: float):
        check_divisible(dim, HEADS, "swin", "attention heads")
        side = window_size(grid)
        check_grid(grid, side)
        super().__init__(
            dim,
            grid,
            num_heads=HEADS,
            window_size=side,
            shift_size=side // 2 if index % 2 and side < min(grid) else 0,
            mlp_ratio=mlp_ratio,
            qkv_bias=True,
            proj_drop=drop,
            drop_path=drop_path,
            norm_layer=nn.LayerNorm,
        )
        self.attn_mask = None
        init_trunc_normal_(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        check_grid(tuple(x.shape[2:]), self.window_size[0])  # timm would pad with zeros, which are attended to
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def check_grid(grid: tuple[int, int], side: int) -> None:
    """Raises ValueError unless windows of ``side`` x ``side`` tile the latent grid."""
    if grid[0] % side or grid[1] % side:
        raise ValueError(
            f"swin: windows of {side} x {side} do not tile the latent grid of {grid[0]} x {grid[1]}; "
            f"choose an input whose latent height and width (H and W over 2 ** (N_S // 2)) divide by {side}"
        )
