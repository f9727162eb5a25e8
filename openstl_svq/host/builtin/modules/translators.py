"""The translators of SimVP by name, and the stack that all of them but IncepU share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from openstl_svq.naming import unknown

from .convmixer import ConvMixerBlock
from .convnext import ConvNeXtBlock
from .gsta import GSTABlock
from .hornet import HorNetBlock
from .incepu import IncepU
from .layers import merge_frames, split_frames
from .mlp_mixer import MLPMixerBlock
from .moga import MogaBlock
from .poolformer import PoolFormerBlock
from .swin import SwinBlock
from .tau import TAUBlock
from .uniformer import GlobalBlock, LocalBlock
from .van import VANBlock
from .vit import ViTBlock


@dataclass(frozen=True)
class BlockSpec:
    """What the block at position ``index`` of a translator is built from."""

    index: int
    dim: int
    keeps_width: bool  # no reduction follows: the block's output is the stage's output
    grid: tuple[int, int]
    mlp_ratio: float
    drop: float
    drop_path: float

    @property
    def rates(self) -> dict[str, float]:
        return {"mlp_ratio": self.mlp_ratio, "drop": self.drop, "drop_path": self.drop_path}


def _uniformer(s: BlockSpec) -> nn.Module:
    block = GlobalBlock if s.keeps_width and s.index > 0 else LocalBlock
    return block(s.dim, **s.rates)


_BLOCKS: dict[str, tuple[str, Callable[[BlockSpec], nn.Module]]] = {
    "gsta": ("gated large-kernel attention (SimVP v2)", lambda s: GSTABlock(s.dim, **s.rates)),
    "convmixer": ("depthwise and pointwise convolutions", lambda s: ConvMixerBlock(s.dim)),
    "convnext": (
        "ConvNeXt, depthwise 7 x 7 and MLP",
        lambda s: ConvNeXtBlock(s.dim, mlp_ratio=s.mlp_ratio, drop_path=s.drop_path),
    ),
    "hornet": (
        "recursive gated convolutions",
        lambda s: HorNetBlock(s.dim, mlp_ratio=s.mlp_ratio, drop_path=s.drop_path),
    ),
    "moga": ("MogaNet, multi-order gated aggregation", lambda s: MogaBlock(s.dim, **s.rates)),
    "vit": ("Vision Transformer, attention over all grid points", lambda s: ViTBlock(s.dim, **s.rates)),
    "swin": ("attention in shifted windows", lambda s: SwinBlock(s.dim, s.grid, index=s.index, **s.rates)),
    "uniformer": ("convolution at the ends, attention in between", _uniformer),
    "poolformer": ("average pooling as token mixer", lambda s: PoolFormerBlock(s.dim, **s.rates)),
    "van": ("VAN, large-kernel attention", lambda s: VANBlock(s.dim, **s.rates)),
    "mlp": ("MLP-Mixer, for a fixed grid", lambda s: MLPMixerBlock(s.dim, s.grid, **s.rates)),
    "tau": ("temporal attention unit", lambda s: TAUBlock(s.dim, **s.rates)),
}
_INCEPU = "IncepU, the U-shaped Inception network of SimVP v1"
_SYNONYMS = {"mlpmixer": "mlp", "moganet": "moga"}


def list_translators() -> dict[str, str]:
    """Every ``model_type`` with a one-line description."""
    return {"incepu": _INCEPU} | {name: description for name, (description, _) in _BLOCKS.items()}


class Stage(nn.Module):
    """One block and, where the width changes, a 1 x 1 convolution: (B, dim, H, W) -> (B, dim_out, H, W)."""

    def __init__(self, block: nn.Module, dim: int, dim_out: int):
        super().__init__()
        self.block = block
        self.reduction = nn.Identity() if dim == dim_out else nn.Conv2d(dim, dim_out, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.reduction(self.block(x))


class MetaTranslator(nn.Module):
    """``depth`` stages of one kind of block, ``channels`` -> ``hidden`` ... ``hidden`` -> ``channels``.

    (B, T, C, H, W) -> (B, T, C, H, W): time and channels share one axis of ``channels`` = T * C, so that mixing
    channels mixes time. The stochastic-depth rate rises evenly from 0.01 in the first block to ``drop_path`` in
    the last, as in OpenSTL; with ``drop_path=0`` it falls from 0.01 to none.
    """

    def __init__(
        self,
        make_block: Callable[[BlockSpec], nn.Module],
        channels: int,
        hidden: int,
        depth: int,
        *,
        grid: tuple[int, int],
        mlp_ratio: float,
        drop: float,
        drop_path: float,
    ):
        super().__init__()
        stages = []
        for index, rate in enumerate(np.linspace(0.01, drop_path, depth).tolist()):
            dim = channels if index == 0 else hidden
            dim_out = channels if index == depth - 1 else hidden
            spec = BlockSpec(index, dim, dim == dim_out, grid, mlp_ratio, drop, rate)
            stages.append(Stage(make_block(spec), dim, dim_out))
        self.enc = nn.Sequential(*stages)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return split_frames(self.enc(merge_frames(x)), x.shape[1])


def build_translator(
    model_type: str,
    channels: int,
    hidden: int,
    depth: int,
    *,
    grid: tuple[int, int],
    mlp_ratio: float,
    drop: float,
    drop_path: float,
) -> nn.Module:
    """The translator called ``model_type`` (any case), a module (B, T, C, H, W) -> (B, T, C, H, W), T * C = channels.

    Raises:
        ValueError: unknown name, fewer than 2 blocks, a rate out of range, or sizes the translator cannot divide.
    """
    name = str(model_type).lower()
    name = _SYNONYMS.get(name, name)
    known = list_translators()
    if name not in known:
        raise ValueError(unknown("model_type", model_type, known))
    if depth < 2:
        raise ValueError(f"N_T={depth}: a translator needs at least 2 blocks, one in and one out")
    if int(min(channels, hidden) * mlp_ratio) < 1:
        raise ValueError(f"mlp_ratio={mlp_ratio} leaves no hidden units for {min(channels, hidden)} channels")
    for rate, value in {"drop": drop, "drop_path": drop_path}.items():
        if not 0 <= value < 1:
            raise ValueError(f"{rate}={value}: a drop rate lies in [0, 1)")
    if name == "incepu":
        return IncepU(channels, hidden, depth)
    _, make_block = _BLOCKS[name]
    return MetaTranslator(
        make_block, channels, hidden, depth, grid=grid, mlp_ratio=mlp_ratio, drop=drop, drop_path=drop_path
    )
