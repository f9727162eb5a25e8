"""Optimizers and learning-rate schedules by OpenSTL's names, built by timm's factory and torch's one-cycle schedule."""

import math
from typing import Any

from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler, MultiStepLRScheduler, StepLRScheduler, TanhLRScheduler
from timm.scheduler.scheduler import Scheduler
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from openstl_svq.naming import choose

# OpenSTL's name -> the name in timm's factory.
OPTIMIZERS = {
    name: name
    for name in (
        "adam",
        "adamw",
        "sgd",
        "nesterov",
        "momentum",
        "nadam",
        "radam",
        "adamp",
        "sgdp",
        "adadelta",
        "adafactor",
        "adahessian",
        "rmsprop",
        "rmsproptf",
    )
} | {"nvnovograd": "novograd"}
SCHEDULERS = ("onecycle", "cosine", "tanh", "step", "multistep")
LOOKAHEAD = "lookahead_"  # prefix of an optimizer's name: Lookahead around it


def get_optim_scheduler(
    args: Any, epoch: int, model: nn.Module, steps_per_epoch: int
) -> tuple[Optimizer, LRScheduler | Scheduler, bool]:
    """The optimizer and schedule that ``args.opt`` and ``args.sched`` name.

    ``onecycle`` counts optimizer steps: call ``scheduler.step()`` after each. The other schedules count epochs: call
    ``scheduler.step(e + 1)`` at the end of epoch ``e`` (with ``step(e)`` every rate comes one epoch late and the last
    is never used).

    Args:
        args: object with the attributes ``opt``, ``lr``, ``weight_decay``, ``momentum``, ``filter_bias_and_bn``,
            ``sched`` and those of the schedule: ``gpus`` for onecycle; ``warmup_lr``, ``warmup_epoch`` for the others,
            with ``min_lr`` for cosine and tanh, ``decay_epoch``, ``decay_rate`` for step and multistep. Optional:
            ``opt_eps``, ``opt_betas``, ``lr_k_decay`` (cosine), ``final_div_factor`` (onecycle).
        epoch: epochs of the whole training.
        model: parameters that need no gradient are left out.
        steps_per_epoch: batches per epoch on one device; shared among ``len(args.gpus)`` devices.

    Returns:
        ``(optimizer, scheduler, by_epoch)``.

    Raises:
        ValueError: unknown optimizer or schedule, nothing to train, or an option that the optimizer does not have.
    """
    optimizer = _optimizer(args, model)
    scheduler = _scheduler(args, optimizer, epoch, steps_per_epoch)
    return optimizer, scheduler, not isinstance(scheduler, OneCycleLR)


def _optimizer(args, model: nn.Module) -> Optimizer:
    name = args.opt.lower()
    lookahead = LOOKAHEAD if name.startswith(LOOKAHEAD) else ""
    name = choose("optimizer", name.removeprefix(LOOKAHEAD), OPTIMIZERS)
    groups = parameter_groups(model, args.weight_decay, args.filter_bias_and_bn)
    options = {
        key: value
        for key, value in (("eps", getattr(args, "opt_eps", None)), ("betas", getattr(args, "opt_betas", None)))
        if value is not None
    }
    if "betas" in options:
        options["betas"] = tuple(options["betas"])
    optimizer = create_optimizer_v2(
        groups,
        lookahead + OPTIMIZERS[name],
        lr=args.lr,
        weight_decay=args.weight_decay,
        momentum=args.momentum,
        **options,
    )
    for key in options:
        if key not in optimizer.defaults:  # timm's factory drops what an optimizer does not have
            raise ValueError(f"optimizer {name!r} has no {key}; leave opt_{key} out.")
    return optimizer


def parameter_groups(model: nn.Module, weight_decay: float, filter_bias_and_bn: bool) -> list[dict]:
    """The trainable parameters, those without weight decay in a group of their own where ``filter_bias_and_bn``.

    Without decay are biases, all one-dimensional parameters (norms), and the names in ``model.no_weight_decay()``.
    """
    trainable = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    if not trainable:
        raise ValueError("the model has no parameter that needs a gradient; nothing would be trained.")
    if not filter_bias_and_bn:
        return [{"params": [p for _, p in trainable], "weight_decay": weight_decay}]
    listed = set(model.no_weight_decay()) if hasattr(model, "no_weight_decay") else set()
    plain = {name for name, p in trainable if p.ndim <= 1 or name.endswith(".bias") or name in listed}
    groups = [
        {"params": [p for name, p in trainable if name not in plain], "weight_decay": weight_decay},
        {"params": [p for name, p in trainable if name in plain], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _scheduler(args, optimizer: Optimizer, epoch: int, steps_per_epoch: int):
    name = choose("scheduler", args.sched.lower(), SCHEDULERS)
    if name == "onecycle":
        # OpenSTL rounds the whole training down, so an epoch that does not divide evenly outlasts the schedule.
        steps = epoch * math.ceil(steps_per_epoch / len(args.gpus))
        return OneCycleLR(
            optimizer, max_lr=args.lr, total_steps=steps, final_div_factor=getattr(args, "final_div_factor", 1e4)
        )
    warmup = {"warmup_lr_init": args.warmup_lr, "warmup_t": args.warmup_epoch}
    if name == "cosine":
        return CosineLRScheduler(
            optimizer, t_initial=epoch, lr_min=args.min_lr, k_decay=getattr(args, "lr_k_decay", 1.0), **warmup
        )
    if name == "tanh":
        return TanhLRScheduler(optimizer, t_initial=epoch, lr_min=args.min_lr, **warmup)
    if name == "step":
        return StepLRScheduler(optimizer, decay_t=args.decay_epoch, decay_rate=args.decay_rate, **warmup)
    epochs = args.decay_epoch if isinstance(args.decay_epoch, (list, tuple)) else [args.decay_epoch]
    return MultiStepLRScheduler(optimizer, decay_t=list(epochs), decay_rate=args.decay_rate, **warmup)
