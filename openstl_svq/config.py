"""The configuration of a run: default < dataset entry < configuration file < command line.

With ``--overwrite`` (OpenSTL's flag) the file wins over the command line. Unknown keys are errors, wherever they come
from.
"""

import argparse
import pprint
import warnings
from pathlib import Path

from . import cli, plugins, schema
from . import protocol as protocols
from .config_file import find_config, load_config, merge, parse_value
from .data.cycle import KINDS
from .data.sources import MASKS
from .host import LOADER_KEYS, dataset_parameters, only_in_openstl
from .host import create_parser as host_parser
from .losses import list_losses
from .methods import Method, all_methods, get_method
from .methods.plane import PAD_MODES, ZEROS
from .methods.quantized import USAGE_INTERVAL, WIDTH
from .models.simvp_svq import QUANT_POSITIONS
from .naming import choose, nearest

# Keys of the data loaders that no dataset's entry need name.
_DATA_KEYS = {
    "in_shape",
    "pre_seq_length",
    "aft_seq_length",
    "total_length",
    "metrics",
    "data_name",
    "train_time",
    "val_time",
    "test_time",
    "idx_in",
    "idx_out",
    "step",
    "level",
    "region",
    *LOADER_KEYS,
}

# Flags of OpenSTL's versions that do nothing there, or whose work another flag does here. None is taken and ignored.
_WITHOUT_EFFECT = {
    "--torchscript": "does nothing in OpenSTL either: no model is scripted. Export a trained one with tools/export.py",
    "--use_prefetcher": "is not needed: loaders prefetch by themselves with --num_workers above 0",
    "--auto_resume": "is --resume here: give --resume, which continues RES_DIR/EX_NAME, or --resume RUN",
    "--resume_from": "is --resume here: give --resume CHECKPOINT",
    "--find_unused_parameters": "is Lightning's strategy here: give --strategy ddp_find_unused_parameters_true",
}


_NOT_KEYS = {
    "cfg_options",
    "overwrite",
    "allow_code",
}  # of the flags: how a command line is to be read, not what a run is


def create_parser() -> argparse.ArgumentParser:
    """The host's flags and this package's, for either host."""
    parser = host_parser()
    parser.prog = cli.program() or parser.prog
    parser.usage = "%(prog)s [--FLAG VALUE ...]"  # there are a hundred; an error is not to scroll away
    parser.description = "Train and test a spatio-temporal forecasting model"
    for action in parser._actions:
        if action.dest == "ex_name":
            action.default = None  # named after the dataset and the configuration, see _checked
            action.help = "name of this run: its folder is RES_DIR/EX_NAME (default: DATASET_CONFIG)"
        if action.dest == "config_file":
            action.help = (
                "configuration file, Python as in OpenSTL: plain values are read without running it; a file that registers "
                "a plug-in is run, and any other code in it only with --allow_code"
            )
        if _WITHOUT_EFFECT.keys() & set(action.option_strings):
            action.help = argparse.SUPPRESS
    for flag in _WITHOUT_EFFECT.keys() - parser._option_string_actions.keys():
        parser.add_argument(flag, nargs="?", const=True, default=None, help=argparse.SUPPRESS)

    group = parser.add_argument_group("quantizer and loss")
    group.add_argument("--quantizer", default="svq", help=f"name of the quantizer of {', '.join(_quantized())}")
    group.add_argument(
        "--quantizer_kwargs",
        default={},
        type=_dictionary,
        metavar="DICT",
        help="its arguments, as in \"{'codebook_size': 1000}\"",
    )
    group.add_argument("--quant_position", default="before", help=f"of the translator: {', '.join(QUANT_POSITIONS)}")
    group.add_argument(
        "--loss",
        default=None,
        help=f"{', '.join(list_losses())} (default: the method's: mae for {', '.join(_quantized())}, also with quant_position "
        "none; else mse)",
    )
    group.add_argument(
        "--quantizer_lr",
        default=1.0,
        metavar="FACTOR",
        type=lambda text: text if text == WIDTH else float(text),
        help="factor of the learning rate of SVQ's W2, b2 and codebook, or width: the one with which their product "
        "moves as a layer of its shape does, whatever the codebook's size",
    )
    group.add_argument(
        "--fold_clip",
        default=None,
        type=float,
        metavar="SHARE",
        help="a step changes SVQ's product W2^T M by at most this share of its norm (default: no limit)",
    )
    group.add_argument("--noise_ratio", default=0.0, type=float, help="share of the training input that is disturbed")
    group.add_argument(
        "--usage_interval",
        default=USAGE_INTERVAL,
        type=int,
        metavar="STEPS",
        help="steps between logs of codebook usage; 0 for none",
    )

    group = parser.add_argument_group("fields on a grid")
    group.add_argument(
        "--mask",
        default=None,
        help=f"{', '.join(MASKS)}: points that are always missing are left out of loss and scores, and missing in forecasts",
    )
    group.add_argument(
        "--anomaly",
        default=None,
        help=f"{', '.join(KINDS)}: learn anomalies from the training data's mean of each month, or of each hour of the day "
        "in it, which forecasts get back",
    )
    group.add_argument(
        "--pad",
        nargs="?",
        const=True,
        default=False,
        type=int,
        metavar="MULTIPLE",
        help="pad frames whose size the network cannot divide, and cut the forecasts back",
    )
    group.add_argument(
        "--pad_mode",
        default=ZEROS,
        help=f"{', '.join(PAD_MODES)}: what convolutions see beyond the first and last column; circular for longitudes "
        "around the globe",
    )

    group = parser.add_argument_group("training")
    group.add_argument(
        "--patience",
        default=10,
        type=int,
        metavar="EPOCHS",
        help="stop after so many epochs without a better validation loss; 0 to train all epochs",
    )
    group.add_argument(
        "--protocol",
        default="strict",
        help="strict: validation split and training statistics, as the paper says; openstl: validation "
        "on the test set and OpenSTL's indices, to compare with published tables; strict+NAME+...: "
        f"one of the differences alone: {', '.join(protocols.DIFFERENCES)}",
    )
    group.add_argument(
        "--val_fraction",
        default=0.1,
        type=float,
        help="strict protocol: share of the training data held out where a dataset has no validation split",
    )
    group.add_argument("--accelerator", default=None, help="auto, cpu, gpu or mps (default: what --device says)")
    group.add_argument("--precision", default=None, help="Lightning's: 32, 16-mixed, bf16-mixed, 64, ...")
    group.add_argument("--strategy", default="auto", help="Lightning's: auto, ddp, ...")
    group.add_argument("--num_nodes", default=1, type=int)
    group.add_argument(
        "--sync_batchnorm",
        default=True,
        action=argparse.BooleanOptionalAction,
        help="batch norms use the statistics of the batches of all processes, so that several train as one does; without "
        "it each process has its own, as in OpenSTL: no waiting for the others, and another training",
    )
    group.add_argument(
        "--total_batch_size",
        default=None,
        type=int,
        metavar="N",
        help="samples of an optimizer step over all devices: each takes its share, in several batches of at most "
        "--batch_size where it must (default: --batch_size on each device)",
    )
    group.add_argument(
        "--save_every",
        default=0.0,
        type=float,
        metavar="MINUTES",
        help="also save last.ckpt in the middle of an epoch; 0 for the ends of epochs and signals alone",
    )

    group.add_argument(
        "--logger",
        nargs="+",
        default=None,
        metavar="NAME",
        help="csv, tensorboard, wandb, mlflow: where losses go beside csv/, into the run folder alone unless "
        "WANDB_MODE=online or MLFLOW_TRACKING_URI says otherwise (default: tensorboard where it is installed)",
    )
    group.add_argument(
        "--limit_train_batches",
        default=None,
        type=int,
        metavar="N",
        help="train on so many batches of each epoch alone: for trying things out",
    )
    group.add_argument(
        "--save_predictions",
        action="store_true",
        help="keep every input, prediction and truth of the test in the data's unit: saved/inputs.npy, preds.npy and "
        "trues.npy in the run folder, and saved/predictions.nc with times where the data are a field with dates",
    )
    group.add_argument(
        "--fast_dev_run",
        action="store_true",
        help="one batch of training, of validation and of the test: whether everything works, in seconds; the scores "
        "mean nothing",
    )

    group = parser.add_argument_group("speed and memory")
    group.add_argument(
        "--plain",
        action="store_true",
        help="torch's own layers, memory format, optimizer loops and precision of products: nothing of what makes a "
        "run faster by default",
    )
    group.add_argument("--compile", action="store_true", help="torch.compile the network; pays in long runs")
    group.add_argument(
        "--checkpoint_activations",
        action="store_true",
        help="less memory for a second forward pass: blocks compute their activations again for the backward pass",
    )

    group = parser.add_argument_group("resuming and other keys")
    group.add_argument(
        "--resume",
        nargs="?",
        const=True,
        default=None,
        metavar="RUN",
        help="continue an interrupted run: that of --ex_name, or this run folder or checkpoint",
    )
    group.add_argument(
        "--plugins",
        nargs="+",
        default=[],
        metavar="NAME",
        help="modules or .py files that register further methods, quantizers, datasets or metrics; they are run",
    )
    group.add_argument(
        "--allow_code",
        action="store_true",
        help="run configuration files that are more than plain values, and the plug-ins that a checkpoint names; without "
        "it, of such files those alone run that register something themselves. Give it for files that you trust",
    )
    group.add_argument(
        "--cfg_options",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="any configuration key, as in lr=1e-3 quantizer_kwargs.codebook_size=1000 "
        "\"train_time=['2019-03-01','2019-03-23']\"",
    )
    cli.show_defaults(parser)
    return parser


def defaults() -> dict:
    """What the flags are when nobody gives them."""
    values = vars(create_parser().parse_args([]))
    return {k: v for k, v in values.items() if f"--{k}" not in _WITHOUT_EFFECT and k not in _NOT_KEYS}


def resolve(
    argv: list[str] | None = None,
    base: dict | None = None,
    description: str | None = None,
    keywords: dict | None = None,
) -> argparse.Namespace:
    """The configuration that a command line asks for.

    Args:
        argv: the command line's words (default: those of this process).
        base: the configuration of an earlier run, or defaults for this one; a file stands above it.
        keywords: keys that are given from Python, as if they were typed.
        description: what ``--help`` says first.

    Raises:
        ValueError: an unknown key, method, dataset, quantizer, position, ... or a value that is not allowed.
        FileNotFoundError: the configuration file does not exist.
        ImportError: a plug-in cannot be loaded.
    """
    plugins.load_installed()
    parser = create_parser()
    if description:
        parser.description, parser.formatter_class = cli.spoken(description), argparse.RawDescriptionHelpFormatter
    for action in parser._actions:  # so that only what was typed is left
        action.default = argparse.SUPPRESS
    typed = {**vars(parser.parse_args(cli.words() if argv is None else argv)), **(keywords or {})}
    for flag, why in _WITHOUT_EFFECT.items():
        if typed.pop(flag.lstrip("-"), None):
            if flag.lstrip("-") in (keywords or {}):
                raise ValueError(f"{flag} {why}.")
            parser.error(f"{flag} {why}.")
    typed_options = parse_options(typed.pop("cfg_options", []))
    if "device" in typed and "accelerator" not in typed:
        typed = {**_of_device(typed["device"]), **typed}

    for key in ("config_file", "resume", "ckpt_path"):  # empty where a variable of the shell is not set
        if key in typed:
            schema.RULES[key](f"--{key}", typed[key])
    file = typed.get("config_file")
    if file:
        file = typed["config_file"] = str(find_config(file))
    allow_code = typed.pop("allow_code", False)
    from_file = merge(base or {}, load_config(file, "any" if allow_code else "plugins") if file else {})
    typed = merge(typed, typed_options)  # one layer: what is typed together belongs together, in whatever order
    for layer in (from_file, typed):
        for key in {"method", "dataname"} & layer.keys():
            schema.RULES[key](key, layer[key])
    _forget_dataset(from_file, typed.get("dataname"))
    layers = [from_file, typed]
    if typed.pop("overwrite", False):
        layers.reverse()

    given: dict = {}
    for layer in layers:
        given = _merge(given, layer)
    flags = defaults()
    given["plugins"] = plugins.load(given.get("plugins", []), trusted=None if allow_code else typed.get("plugins", []))
    for key in ("method", "dataname"):
        schema.RULES[key](key, given.setdefault(key, flags[key]))
    method = get_method(given["method"])
    dataname = choose(
        "dataset", given["dataname"], dataset_parameters, hint=only_in_openstl("dataset", given["dataname"])
    )

    entry = dict(dataset_parameters[dataname])
    _refuse_unknown(given, set(flags) | set(entry) | _DATA_KEYS, method, file)
    config = _merge(_merge({**flags, "loss": "mse", **method.defaults}, entry), given)
    config.update(method=method.name, dataname=dataname, **_lengths(layers, entry))
    _set_total_length(config, typed)
    config = _checked(config)
    if config["pad"] is True:
        if method.multiple is None:
            raise ValueError(
                f"pad: what the method {method.name} needs height and width to be multiples of is not known here. Give the "
                "number (--pad 4), or cut the data."
            )
        config["pad"] = method.multiple(config)
    config["plugins"] = list(dict.fromkeys([*config["plugins"], *plugins.used_by(config)]))
    if method.check:
        method.check(config)
    _refuse_without_effect(typed, config, method)
    return argparse.Namespace(**config)


def _quantized() -> list[str]:
    return [name for name, method in all_methods().items() if method.quantized]


def _of_device(device: str) -> dict:
    """What OpenSTL's ``--device`` means where it is typed: ``cpu``, ``cuda``, ``cuda:1``."""
    kind, _, index = str(device).partition(":")
    found = {"accelerator": "gpu" if kind == "cuda" else kind}
    if index:
        if not index.isdigit():
            raise ValueError(f"--device must be cpu, cuda, cuda:NUMBER or mps, got {device!r}.")
        found["gpus"] = [int(index)]
    return found


def _forget_dataset(saved: dict, dataname: str | None):
    """Takes the keys of its dataset out of a resolved configuration that is used with another dataset."""
    before = saved.get("dataname")
    if dataname is not None and before in dataset_parameters and dataname != before:
        for key in dataset_parameters[before]:
            saved.pop(key, None)


def _refuse_without_effect(typed: dict, config: dict, method: Method):
    if not method.quantized:
        for key, without in (
            ("quantizer", "none"),
            ("quant_position", "none"),
            ("quantizer_lr", 1),
            ("fold_clip", None),
        ):
            if key in typed and typed[key] != without:
                raise ValueError(
                    f"{key} has no effect on the method {method.name!r}; use one of {', '.join(_quantized())}."
                )


def _set_total_length(config: dict, typed: dict):
    schema.RULES["aft_seq_length"]("aft_seq_length", config["aft_seq_length"])
    config["total_length"] = config["pre_seq_length"] + config["aft_seq_length"]
    if typed.get("total_length") not in (None, config["total_length"]):
        raise ValueError(
            f"total_length is pre_seq_length + aft_seq_length, here {config['total_length']}, not "
            f"{typed['total_length']}: give these instead."
        )


def parse_options(words: list[str]) -> dict:
    """``["lr=1e-3", "quantizer_kwargs.codebook_size=10"]`` -> ``{"lr": 1e-3, "quantizer_kwargs": {"codebook_size": 10}}``."""
    options: dict = {}
    for word in words:
        key, equals, text = word.partition("=")
        path = key.strip().split(".")
        if not equals or not all(path):
            raise ValueError(f"--cfg_options takes KEY=VALUE, got {word!r}.")
        value = parse_value(text)
        for part in reversed(path):
            value = {part: value}
        options = merge(options, value)
    return options


def dump(config: dict, comment: str = "") -> str:
    """``config`` as the text of a configuration file that ``-c`` reads back."""
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    lines += [f"{key} = {pprint.pformat(value, width=110)}" for key, value in sorted(config.items())]
    return "\n".join(lines) + "\n"


def _merge(base: dict, new: dict) -> dict:
    """``base`` updated by ``new``; ``quantizer_kwargs`` key by key, since each layer sets some of them."""
    merged = merge(base, new)
    # Arguments of one quantizer are not those of another.
    if "quantizer" in new and new["quantizer"] != base.get("quantizer", "svq"):
        plain = {"quantizer_kwargs": {}, "quantizer_lr": 1.0, "fold_clip": None}
        given = [key for key, value in plain.items() if base.get(key, value) != value and key not in new]
        if given:
            warnings.warn(
                f"the quantizer is {new['quantizer']} in place of {base.get('quantizer', 'svq')}, whose settings are dropped: "
                f"{', '.join(f'{key}={base[key]!r}' for key in given)}.",
                stacklevel=3,
            )
        merged |= {key: new.get(key, value) for key, value in plain.items()}
    return merged


def _refuse_unknown(given: dict, known: set[str], method: Method, file: str | None):
    where = f" in {file}" if file else ""
    known = known | (method.keys or set())
    for key in (key for key in given if key not in known):
        if method.keys is None:
            warnings.warn(
                f"configuration key {key!r}{where} is passed on unchecked: the keys of the method {method.name!r} are not "
                f"known.{nearest(key, known)}",
                stacklevel=3,
            )
            continue
        raise ValueError(
            f"unknown configuration key {key!r}{where}.{nearest(key, known)} "
            "All flags of --help, the dataset's entry and the model's arguments are known."
        )


def _checked(config: dict) -> dict:
    """``config`` with the values that follow from others filled in, and all of them checked."""
    schema.check(config)
    if config["ex_name"] is None:
        config["ex_name"] = f"{config['dataname']}_{Path(config['config_file'] or config['method']).stem}"
    if config["fast_dev_run"]:
        config |= {"epoch": 1, "limit_train_batches": 1, "warmup_epoch": 0, "log_step": 1}
    if config["fp16"]:
        config["precision"] = "16-mixed"
    config["precision"] = str(config["precision"] or 32)
    if config["accelerator"] is None:
        # OpenSTL's default is cuda whether there is one or not.
        config["accelerator"] = {"cuda": "auto", "auto": "auto", "cpu": "cpu", "mps": "mps"}.get(
            str(config["device"]).split(":")[0], config["device"]
        )
    choose("accelerator", config["accelerator"], schema.ACCELERATORS)
    return config


def _lengths(layers: list[dict], entry: dict) -> dict:
    """``in_shape``, ``pre_seq_length`` and ``total_length`` as the topmost layer that has one of them says.

    Raises:
        ValueError: one layer says two things.
    """
    steps, shape = entry["pre_seq_length"], entry["in_shape"]
    for layer in layers:
        for key in ("in_shape", "pre_seq_length"):
            if layer.get(key) is not None:
                schema.RULES[key](key, layer[key])
        given_shape, given_steps = layer.get("in_shape"), layer.get("pre_seq_length")
        if given_shape is not None and given_steps not in (None, given_shape[0]):
            raise ValueError(
                f"in_shape {list(given_shape)} begins with {given_shape[0]} frames, and pre_seq_length is {given_steps}: "
                "give one of them, or both alike."
            )
        shape = given_shape or shape
        steps = given_steps or (given_shape[0] if given_shape else steps)
    steps = shape[0] if steps is None else steps
    return {"pre_seq_length": steps, "in_shape": [steps, *shape[1:]]}


def _dictionary(text: str) -> dict:
    value = parse_value(text)
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"a dictionary is needed, as in \"{{'codebook_size': 1000}}\", got {text!r}")
    return value
