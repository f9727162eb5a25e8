"""Optimizers that update all parameters at once."""

from torch.optim import Optimizer


def fuse_optimizer(optimizer: Optimizer) -> None:
    """Lets ``optimizer`` update each group in one kernel where torch has one for it (Adam, AdamW, SGD), in place."""
    for group in optimizer.param_groups:
        if "fused" in group and all(p.is_floating_point() for p in group["params"]):
            group.update(fused=True, foreach=False)
