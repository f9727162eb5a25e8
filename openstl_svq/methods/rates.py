"""A learning rate of its own for some parameters, under any optimizer and schedule of either host."""

from collections.abc import Iterable
from typing import Any

from timm.scheduler.scheduler import Scheduler as TimmScheduler
from torch import nn
from torch.optim import Optimizer

# What a one-cycle schedule keeps in a group, beside the rate itself.
_RATES = ("lr", "initial_lr", "max_lr", "min_lr")


def scale_rate(optimizer: Optimizer, scheduler: Any, parameters: Iterable[nn.Parameter], factor: float) -> None:
    """Multiplies the rate of ``parameters`` by ``factor`` for the whole schedule, warm-up and end included.

    They move to groups of their own behind the others; everything else of a group (weight decay, betas) stays. To be
    called before the first step.
    """
    chosen = {id(p) for p in parameters}
    ends = [
        getattr(scheduler, name) for name in ("base_values", "warmup_steps", "base_lrs") if hasattr(scheduler, name)
    ]
    for index, group in enumerate(list(optimizer.param_groups)):
        moved = [p for p in group["params"] if id(p) in chosen]
        if not moved:
            continue
        group["params"] = [p for p in group["params"] if id(p) not in chosen]
        if isinstance(scheduler, TimmScheduler):  # it multiplies what it sets by lr_scale
            rates = {"lr": group["lr"] * factor, "lr_scale": factor * group.get("lr_scale", 1.0)}
        else:
            rates = {key: group[key] * factor for key in _RATES if key in group}
        optimizer.param_groups.append({**group, **rates, "params": moved})
        for values in ends:  # one value for each group
            values.append(values[index] if isinstance(scheduler, TimmScheduler) else values[index] * factor)
