"""What the keys of a configuration may be: type, range and choices of each, and what several must agree on.

A rule is a function of a key and its value that raises a ValueError where the value is not allowed. A key without a rule
is one of a method or dataset of somebody else, and may be any plain value.
"""

import ast
import math
from collections.abc import Callable, Iterable

from pytorch_lightning.strategies import StrategyRegistry

from . import protocol as protocols
from .data.cycle import KINDS
from .data.sources import MASKS
from .files import inside
from .host.builtin.core.optim_scheduler import LOOKAHEAD, OPTIMIZERS, SCHEDULERS
from .losses import list_losses
from .methods.plane import PAD_MODES
from .methods.quantized import WIDTH
from .metrics import list_metrics
from .models.simvp_svq import QUANT_POSITIONS
from .naming import choose

Rule = Callable[[str, object], None]


def _refuse(key: str, allowed: str, value):
    raise ValueError(f"{key} must be {allowed}, got {value!r}.")


def number(low: float = -math.inf, high: float = math.inf, *, above: bool = False, below: bool = False) -> Rule:
    """Finite, from ``low`` (or ``above`` it) to ``high`` (or ``below`` it)."""
    if high < math.inf:
        allowed = f"a number {'above' if above else 'from'} {low:g} {'and below' if below else 'to'} {high:g}"
    elif low > -math.inf:
        allowed = f"a number above {low:g}" if above else f"a number {low:g} or more"
    else:
        allowed = "a finite number"

    def check(key, value):
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        fits = (
            fits and (value > low or (value == low and not above)) and (value < high or (value == high and not below))
        )
        if not fits:
            _refuse(key, allowed, value)

    return check


def whole(low: float = -math.inf, high: float = math.inf, *, above: bool = False) -> Rule:
    in_range = number(low, high, above=above)

    def check(key, value):
        in_range(key, value)
        if not isinstance(value, int):
            _refuse(key, "a whole number", value)

    return check


def switch(key: str, value: object) -> None:
    if not isinstance(value, bool):
        _refuse(key, "True or False", value)


def text(key: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        _refuse(key, "a text that is not empty", value)


def dictionary(key: str, value: object) -> None:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        _refuse(key, "a dictionary of arguments by name, as in {'codebook_size': 1000}", value)


def dictionary_of(rule: Rule) -> Rule:
    """A dictionary by text, whose values follow ``rule``."""

    def check(key, value):
        dictionary(key, value)
        for name, entry in value.items():
            rule(f"{key}[{name!r}]", entry)

    return check


def choice(names: Iterable[str] | Callable[[], Iterable[str]], *, prefix: str = "", any_case: bool = False) -> Rule:
    """One of ``names``, or of what they give when called: others may register more. ``prefix`` may stand before it."""

    def check(key, value):
        name = value.removeprefix(prefix) if isinstance(value, str) else value
        choose(key, name.lower() if any_case and isinstance(name, str) else name, names() if callable(names) else names)

    return check


def maybe(rule: Rule) -> Rule:
    """``None``, or what ``rule`` allows."""
    return lambda key, value: None if value is None else rule(key, value)


def list_of(rule: Rule, length: int | None = None, *, distinct: bool = False) -> Rule:
    """A list of ``length`` entries (default: one or more) that follow ``rule``, none twice where ``distinct``."""
    allowed = f"a list of {length or 'one or more'} entries{', none of them twice' if distinct else ''}"

    def check(key, value):
        if not isinstance(value, (list, tuple)) or not value or len(value) != (length or len(value)):
            _refuse(key, allowed, value)
        for number_, entry in enumerate(value):
            rule(f"{key}[{number_}]", entry)
        if distinct and len(set(value)) < len(value):
            _refuse(key, allowed, value)

    return check


def any_of(allowed: str, *rules: Rule) -> Rule:
    """What one of ``rules`` allows."""

    def check(key, value):
        for rule in rules:
            try:
                return rule(key, value)
            except ValueError:
                continue
        _refuse(key, allowed, value)

    return check


def odd(key: str, value: object) -> None:
    whole(0, above=True)(key, value)
    if value % 2 == 0:
        _refuse(key, "an odd number: an even kernel shifts the grid", value)


def protocol(key: str, value: object) -> None:
    text(key, value)
    protocols.differences(value)


_count, _from_one, _positive, _not_negative = whole(0), whole(0, above=True), number(0, above=True), number(0)
_rate, _below_one = number(0, 1), number(0, 1, below=True)
_flag = any_of("0, 1, True or False", switch, whole(0, 1))
_offsets = maybe(list_of(whole()))
_period = maybe(list_of(any_of("a date such as 2010, 2010-01 or 2010-01-31", text, _count), 2))
ACCELERATORS = ("auto", "cpu", "gpu", "mps")
_precisions = ("16", "16-mixed", "16-true", "bf16", "bf16-mixed", "bf16-true", "32", "32-true", "64", "64-true")
_precisions += ("transformer-engine", "transformer-engine-float16")

RULES: dict[str, Rule] = {
    # the run
    "res_dir": text,
    "ex_name": maybe(text),
    "config_file": maybe(text),
    "method": text,
    "dataname": text,
    "device": text,
    "accelerator": maybe(choice(ACCELERATORS)),
    "gpus": list_of(_count, distinct=True),
    "num_nodes": _from_one,
    "total_batch_size": maybe(_from_one),
    "sync_batchnorm": switch,
    "save_every": _not_negative,
    "plain": switch,
    "logger": maybe(list_of(choice(("csv", "tensorboard", "wandb", "mlflow")), distinct=True)),
    "limit_train_batches": maybe(_from_one),
    "fast_dev_run": switch,
    "save_predictions": switch,
    "compile": switch,
    "checkpoint_activations": switch,
    "dist": switch,
    "strategy": choice(lambda: {"auto", *StrategyRegistry.available_strategies()}),
    "precision": maybe(any_of(f"one of {', '.join(_precisions)}", choice(_precisions), choice((16, 32, 64)))),
    "fp16": switch,
    "seed": whole(0, 2**32 - 1),
    "deterministic": switch,
    "test": switch,
    "fps": switch,
    "no_display_method_info": switch,
    "resume": maybe(any_of("a run folder or a checkpoint", text, switch)),
    "ckpt_path": maybe(text),
    "plugins": any_of("a list of modules and .py files", list_of(text), choice(([],))),
    # data
    "data_root": text,
    "data_name": maybe(any_of("a name, or a list of names", text, list_of(text, distinct=True))),
    "batch_size": _from_one,
    "val_batch_size": _from_one,
    "num_workers": maybe(_count),
    "in_shape": list_of(_from_one, 4),
    "pre_seq_length": maybe(_from_one),
    "aft_seq_length": _from_one,
    "total_length": maybe(_from_one),
    "use_augment": switch,
    "drop_last": switch,
    "val_fraction": number(0, 1, above=True, below=True),
    "protocol": protocol,
    "mask": maybe(choice(MASKS)),
    "anomaly": maybe(choice(KINDS)),
    "region": maybe(dictionary_of(list_of(number(), 2))),
    "level": maybe(any_of("a number, or a list of numbers", number(), list_of(number(), distinct=True))),
    "crop": maybe(list_of(_from_one, 2)),
    "pad": any_of("True, False, or a number that height and width are to be multiples of", switch, _count),
    "pad_mode": choice(PAD_MODES),
    "normalise": maybe(choice(("standard", "minmax", "none"))),
    "split": maybe(list_of(_not_negative, 3)),
    "train_time": _period,
    "val_time": _period,
    "test_time": _period,
    "idx_in": _offsets,
    "idx_out": _offsets,
    "step": _from_one,
    "metrics": list_of(choice(list_metrics), distinct=True),
    # the model
    "hid_S": _from_one,
    "hid_T": _from_one,
    "N_S": _from_one,
    "N_T": _from_one,
    "model_type": maybe(text),
    "mlp_ratio": _positive,
    "spatio_kernel_enc": odd,
    "spatio_kernel_dec": odd,
    "act_inplace": switch,
    "drop": _rate,
    "drop_path": _rate,
    "alpha": _not_negative,
    "pixel_max": maybe(_positive),
    "num_features": list_of(_from_one),
    "scale": list_of(_from_one),
    "routing_out_channels": _from_one,
    "beta": number(0, 1, above=True),
    "gamma": number(0, 1, above=True),
    "perceptual_weight": _not_negative,
    "num_hidden": any_of("whole numbers above 0, one a layer, as in '64,64'", text, list_of(_from_one)),
    "filter_size": odd,
    "stride": _from_one,
    "patch_size": _from_one,
    "layer_norm": _flag,
    "sr_size": _from_one,
    "tau": _from_one,
    "scheduled_sampling": _flag,
    "sampling_changing_rate": _rate,
    "sampling_stop_iter": _count,
    "reverse_scheduled_sampling": _flag,
    "r_sampling_step_1": _count,
    "r_sampling_step_2": _count,
    "r_exp_alpha": _positive,
    "decouple_beta": _not_negative,
    "quantizer": text,
    "quantizer_kwargs": dictionary,
    "quant_position": choice(QUANT_POSITIONS),
    "usage_interval": _count,
    "quantizer_lr": any_of(f"a finite number above 0, or {WIDTH!r}", _positive, choice((WIDTH,))),
    "fold_clip": maybe(any_of("a finite number above 0 (leave it out for no limit)", _positive)),
    # training
    "loss": choice(list_losses),
    "noise_ratio": _rate,
    "epoch": _from_one,
    "patience": _count,
    "log_step": _from_one,
    "metric_for_bestckpt": choice(("val_loss",)),
    "opt": choice(OPTIMIZERS, prefix=LOOKAHEAD, any_case=True),
    "opt_eps": maybe(_not_negative),
    "opt_betas": maybe(list_of(_below_one, 2)),
    "momentum": _below_one,
    "weight_decay": _not_negative,
    "filter_bias_and_bn": switch,
    "clip_grad": maybe(_not_negative),
    "clip_mode": choice(("norm", "value")),
    "sched": choice(SCHEDULERS, any_case=True),
    "lr": _positive,
    "lr_k_decay": _positive,
    "warmup_lr": _not_negative,
    "min_lr": _not_negative,
    "final_div_factor": _positive,
    "warmup_epoch": _count,
    "decay_epoch": any_of("a number above 0, or a list of them", _positive, list_of(_positive)),
    "decay_rate": _positive,
}


def check(config: dict) -> None:
    """Each key of a resolved configuration by its rule, then what several keys must agree on.

    Raises:
        ValueError: what is not allowed, and what is.
    """
    for key, value in config.items():
        if key in RULES:
            RULES[key](key, value)
        _plain(key, value)
    for agree in AGREEMENTS:
        agree(config)


def _plain(key, value):
    try:
        plain = ast.literal_eval(repr(value)) == value
    except (ValueError, SyntaxError):
        plain = False
    if not plain:
        raise ValueError(
            f"configuration key {key!r} must be a plain value (number, string, list, dictionary), since it is saved with "
            f"every checkpoint; got {value!r}."
        )


def _has_a_best_epoch(config):
    if config["log_step"] > config["epoch"]:
        raise ValueError(
            f"log_step must be at most epoch ({config['epoch']}), got {config['log_step']}: there would be no best "
            "checkpoint."
        )


def _warms_up_in_time(config):
    if config["sched"].lower() != "onecycle" and config["warmup_epoch"] > config["epoch"]:
        raise ValueError(
            f"warmup_epoch must be at most epoch ({config['epoch']}), got {config['warmup_epoch']}: the rate would never "
            "reach lr. Give --warmup_epoch 0 to train so short."
        )


def _one_precision(config):
    if config["fp16"] and config["precision"] not in (None, "16-mixed"):
        raise ValueError(f"--fp16 means --precision 16-mixed, but --precision {config['precision']} was given.")


def _stays_in_its_folder(config):
    if config["ex_name"] is not None:
        inside(config["res_dir"], config["ex_name"], "ex_name")


AGREEMENTS = (_has_a_best_epoch, _warms_up_in_time, _one_precision, _stays_in_its_folder)
