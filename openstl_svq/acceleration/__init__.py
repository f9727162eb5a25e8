"""What makes a model faster without changing its function. Pure torch: knows nothing of hosts or training."""

from typing import TypeVar

import torch
from torch import nn

from .allocator import keep_freed_memory
from .checkpointing import checkpoint_activations
from .depthwise import DepthwiseConv2d, can_be_compiled
from .folding import fold_codebooks
from .gelu import CompiledGELU, is_gelu
from .group_norm import GroupNormSiLU, fuse_group_norms
from .optimizers import fuse_optimizer
from .pointwise import PointwiseConv2d, is_pointwise

__all__ = [
    "CompiledGELU",
    "DepthwiseConv2d",
    "GroupNormSiLU",
    "PointwiseConv2d",
    "accelerate",
    "checkpoint_activations",
    "fold_codebooks",
    "fuse_optimizer",
    "keep_freed_memory",
]

Model = TypeVar("Model", bound=nn.Module)


def accelerate(model: Model) -> Model:
    """Turns ``model`` into a faster form of itself, in place; any model, of either host.

    Its maps go channels-last; its depthwise and 1 x 1 convolutions, its GELUs, and its GroupNorms with the SiLU after
    them take the forms in this package. State-dict keys, parameters and (to rounding) results stay; so do hooks and the
    names of modules.
    """
    fuse_group_norms(model)
    for module in model.modules():
        if can_be_compiled(module):
            module.__class__ = DepthwiseConv2d
        elif is_pointwise(module):
            module.__class__ = PointwiseConv2d
        elif is_gelu(module):
            module.__class__ = CompiledGELU
        if isinstance(module, nn.Conv2d):
            # A clone: `to(memory_format=...)` leaves kernels of one input channel as they are, and so their maps.
            module.weight.data = module.weight.data.clone(memory_format=torch.channels_last)
    return model
