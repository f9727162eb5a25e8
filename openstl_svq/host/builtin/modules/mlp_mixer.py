"""MLP-Mixer (Tolstikhin et al. 2021, arXiv:2105.01601)."""

import torch
from timm.models.mlp_mixer import MixerBlock

from .layers import init_trunc_normal_, map_to_tokens, tokens_to_map


class MLPMixerBlock(MixerBlock):
    """timm's block on maps: (B, dim, H, W) -> (B, dim, H, W).

    The token-mixing layers hold one weight per grid point, so H and W are those given at construction.
    """

    def __init__(self, dim: int, grid: tuple[int, int], *, mlp_ratio: float, drop: float, drop_path: float):
        super().__init__(dim, grid[0] * grid[1], mlp_ratio=(0.5, mlp_ratio), drop=drop, drop_path=drop_path)
        self.grid = grid
        init_trunc_normal_(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grid = tuple(x.shape[2:])
        if grid != self.grid:
            raise ValueError(f"mlp: built for a latent grid of {self.grid}, got {grid}; build the model for this size")
        return tokens_to_map(super().forward(map_to_tokens(x)), grid)
