"""Activation checkpointing: less memory for a second forward pass."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


class _Checkpointed:
    """Goes in front of a block's class: keeps its input alone, and computes the rest again in the backward pass."""

    def forward(self, *inputs):
        if not torch.is_grad_enabled():
            return super().forward(*inputs)
        return checkpoint(super().forward, *inputs, use_reentrant=False, context_fn=partial(_contexts, self))


def checkpoint_activations(model: nn.Module) -> int:
    """Lets the blocks of ``model`` forget what they computed and compute it again in the backward pass, in place.

    Blocks are the members of its outermost sequences and lists of modules: stages of the encoder and decoder, blocks
    of the translator. Numbers, state-dict keys and running statistics stay.

    Returns:
        The number of blocks.
    """
    blocks = list(_blocks(model))
    for block in blocks:
        cls = type(block)
        block.__class__ = type(cls.__name__, (_Checkpointed, cls), {"__doc__": cls.__doc__})
    return len(blocks)


def _blocks(model: nn.Module) -> Iterator[nn.Module]:
    """The members of the outermost sequences and lists."""
    for child in model.children():
        if isinstance(child, (nn.Sequential, nn.ModuleList)):
            yield from (member for member in child if any(True for _ in member.parameters()))
        else:
            yield from _blocks(child)


def _contexts(block: nn.Module):
    return nullcontext(), _kept_statistics(block)


@contextmanager
def _kept_statistics(block: nn.Module) -> Iterator[None]:
    """Batch norms normalise with the batch, as in the first pass, and do not count it a second time."""
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm) and module.momentum is not None]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta):
            norm.momentum = momentum
            if norm.training and norm.num_batches_tracked is not None:
                norm.num_batches_tracked.sub_(1)
