"""Optimizers and schedules: OpenSTL's learning rates to the last bit, weight-decay groups, and bad names."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from openstl_svq.host.builtin.core import get_optim_scheduler
from openstl_svq.host.builtin.core.optim_scheduler import OPTIMIZERS, SCHEDULERS

SCHEDULES = json.loads((Path(__file__).parent / "parity" / "lr_schedules.json").read_text())["schedules"]


def options(**changes):
    return SimpleNamespace(
        **{
            "opt": "adam",
            "lr": 1e-3,
            "weight_decay": 0.0,
            "opt_eps": None,
            "opt_betas": None,
            "momentum": 0.9,
            "filter_bias_and_bn": False,
            "sched": "onecycle",
            "warmup_lr": 1e-5,
            "min_lr": 1e-6,
            "warmup_epoch": 0,
            "decay_epoch": 3,
            "decay_rate": 0.1,
            "lr_k_decay": 1.0,
            "final_div_factor": 1e4,
            "gpus": [0],
        }
        | changes
    )


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3))


def train_step(net, optimizer):
    optimizer.zero_grad()
    second_order = getattr(optimizer, "is_second_order", False)  # AdaHessian
    net(torch.ones(2, 2, 4, 4)).square().sum().backward(create_graph=second_order)
    optimizer.step()


@pytest.mark.parametrize("key", [k for k in SCHEDULES if k.startswith("cosine")])
def test_cosine_rates_are_openstls(key):
    expected = SCHEDULES[key]
    arguments = dict(expected["arguments"])
    epochs = arguments.pop("epoch")
    optimizer, scheduler, by_epoch = get_optim_scheduler(options(**arguments), epochs, model(), 7)
    assert by_epoch is expected["by_epoch"]
    assert optimizer.param_groups[0]["lr"] == expected["initial_lr"]
    used = []
    for epoch in range(epochs):
        used.append(optimizer.param_groups[0]["lr"])
        scheduler.step(epoch + 1)
    assert used == expected["used_in_epoch_when_stepped_with_e_plus_1_after_epoch_e"]
    assert optimizer.param_groups[0]["lr"] == expected["lr_at_t"][-1]


@pytest.mark.parametrize("key", [k for k in SCHEDULES if k.startswith("onecycle")])
def test_onecycle_rates_are_openstls(key):
    expected = SCHEDULES[key]
    arguments = dict(expected["arguments"])
    epochs, steps = arguments.pop("epoch"), arguments.pop("steps_per_epoch")
    arguments["gpus"] = list(range(arguments.pop("number_of_gpus")))
    net = model()
    optimizer, scheduler, by_epoch = get_optim_scheduler(options(**arguments), epochs, net, steps)
    assert by_epoch is expected["by_epoch"]
    rates, betas = [], []
    for _ in range(expected["total_steps"]):
        rates.append(optimizer.param_groups[0]["lr"])
        betas.append(optimizer.param_groups[0]["betas"][0])
        train_step(net, optimizer)
        scheduler.step()
    assert rates == expected["lr_used_at_step"]
    assert betas == expected["adam_beta1_used_at_step"]
    assert optimizer.param_groups[0]["lr"] == expected["lr_after_last_scheduler_step"]
    with pytest.raises(ValueError):
        scheduler.step()


def test_onecycle_outlasts_epochs_that_do_not_divide_evenly():
    """21 batches on two devices are 11 steps an epoch on each."""
    _, scheduler, _ = get_optim_scheduler(options(gpus=[0, 1]), 5, model(), 21)
    assert scheduler.total_steps == 55


def test_options_of_the_schedules_reach_them():
    optimizer, scheduler, _ = get_optim_scheduler(options(final_div_factor=10, opt="sgd"), 2, model(), 5)
    for _ in range(9):
        optimizer.step()
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 / 25 / 10)

    optimizer, scheduler, _ = get_optim_scheduler(options(sched="cosine", lr_k_decay=2.0), 10, model(), 5)
    scheduler.step(5)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-6 + 0.5 * (1e-3 - 1e-6) * (1 + math.cos(math.pi / 4)))


@pytest.mark.parametrize(
    "schedule, used",
    [
        ("step", [1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.01]),
        ("multistep", [1.0, 1.0, 0.1, 0.1, 0.1, 0.1, 0.1]),  # timm: a milestone holds from one epoch earlier
    ],
)
def test_decaying_schedules(schedule, used):
    optimizer, scheduler, by_epoch = get_optim_scheduler(options(sched=schedule, lr=1.0), 7, model(), 5)
    assert by_epoch
    rates = []
    for epoch in range(7):
        rates.append(optimizer.param_groups[0]["lr"])
        scheduler.step(epoch + 1)
    assert rates == pytest.approx(used)


def test_tanh_falls_from_lr_to_min_lr():
    optimizer, scheduler, _ = get_optim_scheduler(options(sched="tanh"), 10, model(), 5)
    rates = []
    for epoch in range(11):
        rates.append(optimizer.param_groups[0]["lr"])
        scheduler.step(epoch + 1)
    assert rates[0] == pytest.approx(1e-3) and rates[-1] == 1e-6 and rates == sorted(rates, reverse=True)


@pytest.mark.filterwarnings("ignore:Using backward.. with create_graph=True")
@pytest.mark.parametrize("name", [*OPTIMIZERS, "lookahead_adamw"])
def test_every_optimizer_moves_the_weights(name):
    net = model()
    before = net[3].weight.detach().clone()
    optimizer, scheduler, _ = get_optim_scheduler(options(opt=name, sched="cosine"), 5, net, 5)
    assert name.startswith("lookahead") == hasattr(optimizer, "sync_lookahead")
    train_step(net, optimizer)
    scheduler.step(1)
    assert torch.isfinite(net[3].weight).all() and not torch.equal(net[3].weight, before)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_schedules_leave_the_options_alone(name):
    """Nothing is kept between calls: the same options give the same rates again."""
    args = options(sched=name, weight_decay=0.1, filter_bias_and_bn=True)
    before = dict(vars(args))
    first, second = (get_optim_scheduler(args, 5, model(), 5)[0].param_groups for _ in range(2))
    assert vars(args) == before
    assert [g["lr"] for g in first] == [g["lr"] for g in second]


def test_eps_and_betas_reach_the_optimizer():
    optimizer, *_ = get_optim_scheduler(options(opt_eps=1e-4, opt_betas=[0.8, 0.9], sched="cosine"), 5, model(), 5)
    assert optimizer.defaults["eps"] == 1e-4 and optimizer.defaults["betas"] == (0.8, 0.9)
    assert get_optim_scheduler(options(), 5, model(), 5)[0].defaults["eps"] == 1e-8
    with pytest.raises((ValueError, TypeError), match="betas"):
        get_optim_scheduler(options(opt="sgd", opt_betas=[0.8, 0.9]), 5, model(), 5)


def test_weight_decay_groups():
    net = model()
    net.no_weight_decay = lambda: {"3.weight"}
    optimizer, *_ = get_optim_scheduler(options(weight_decay=0.1, filter_bias_and_bn=True), 5, net, 5)
    decayed, plain = optimizer.param_groups
    assert decayed["weight_decay"] == 0.1 and [id(p) for p in decayed["params"]] == [id(net[0].weight)]
    assert plain["weight_decay"] == 0.0 and len(plain["params"]) == 5
    (together,) = get_optim_scheduler(options(weight_decay=0.1), 5, net, 5)[0].param_groups
    assert together["weight_decay"] == 0.1 and len(together["params"]) == 6


@pytest.mark.parametrize("filtered", [False, True])
def test_frozen_parameters_are_left_out(filtered):
    net = model()
    net[0].requires_grad_(False)
    optimizer, *_ = get_optim_scheduler(options(filter_bias_and_bn=filtered), 5, net, 5)
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in (*net[1].parameters(), *net[3].parameters())}
    net.requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter that needs a gradient"):
        get_optim_scheduler(options(), 5, net, 5)


@pytest.mark.parametrize(
    "changes, nearest",
    [({"opt": "adamww"}, "adamw"), ({"opt": "lookahead_adan"}, "adam"), ({"sched": "cosin"}, "cosine")],
)
def test_unknown_names_show_the_nearest(changes, nearest):
    with pytest.raises(ValueError, match=f"Did you mean '{nearest}'.*Available"):
        get_optim_scheduler(options(**changes), 5, model(), 5)
