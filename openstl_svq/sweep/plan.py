"""The plan of a sweep: a grid of settings becomes runs, each cell the run that it is."""

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import config as configuration
from ..config_file import parse_value
from ..methods import all_methods, get_method
from ..naming import accepted
from ..quantizers.memory import TooLargeForMemory

# Where a run was, and on what it ran, does not make it another run.
_NOT_PART_OF_A_RUN = {
    "res_dir",
    "ex_name",
    "config_file",
    "plugins",
    "resume",
    "test",
    "ckpt_path",
    "fps",
    "logger",
    "no_display_method_info",
    "num_workers",
    "device",
    "accelerator",
    "gpus",
    "val_batch_size",
}
_OF_THE_QUANTIZER = {"quantizer", "quantizer_kwargs", "quantizer_lr", "fold_clip", "usage_interval"}
_SHORT_KEYS = {"codebook_size": "quantizer_kwargs.codebook_size"}
_REFUSED = {
    "--resume": "a sweep resumes its runs by itself",
    "--test": "a sweep trains",
    "--ckpt_path": "a sweep trains",
    "--overwrite": "the configuration file would win over the grid",
}


@dataclass
class Run:
    """One cell of the grid.

    Attributes:
        name: of its folder.
        settings: axis -> value; ``config_file`` by its short name.
        words: the command line of ``tools/train.py``.
        config: what that command line resolves to.
    """

    name: str
    settings: dict
    words: list[str]
    config: dict = field(repr=False)


def plan(
    axes: dict[str, Sequence], words: Sequence[str], options: Sequence[str], folder: Path
) -> tuple[list[Run], dict[tuple, Run]]:
    """The runs of a grid, and for every cell the run that it is.

    Cells that differ only in what has no effect, such as the quantizer where ``quant_position`` is ``none``, are one
    run.

    Args:
        axes: axis -> values. An axis is a configuration key (dotted for ``quantizer_kwargs``), ``config_file``, or
            ``codebook_size``. The quantizer ``none`` means ``quant_position=none``.
        words: further words for ``tools/train.py``, the same for all runs.
        options: further ``KEY=VALUE`` for its ``--cfg_options``.
        folder: of the sweep.

    Raises:
        ValueError: an axis without values, with a value twice, or without effect; a flag that a sweep cannot take; a
            cell that ``tools/train.py`` would refuse, or whose model cannot be built.
    """
    for word in words:
        if (flag := word.partition("=")[0]) in _REFUSED:
            raise ValueError(f"{flag} cannot be used here: {_REFUSED[flag]}.")
    keys = [_key(axis) for axis in axes]
    for axis, values in axes.items():
        if keys.count(_key(axis)) > 1:
            raise ValueError(f"axis {axis} is the key {_key(axis)}, which another axis sets too.")
        if axis in _NOT_PART_OF_A_RUN - {"config_file"}:
            raise ValueError(f"{axis} cannot be an axis: it does not make another run.")
        if not values or len({repr(v) for v in values}) < len(values):
            raise ValueError(f"axis {axis} needs values, each once; got {list(values)}.")
    labels = _file_labels(axes.get("config_file", []))
    runs, cells, seen = [], {}, {}
    for values in itertools.product(*axes.values()):
        cell = dict(zip(axes, values))
        settings = {
            axis: labels[value] if axis == "config_file" else shown_value(value) for axis, value in cell.items()
        }
        given = [*words, *(["-c", str(cell["config_file"])] if "config_file" in cell else [])]
        pairs = [*options, *_pairs(cell)]
        given += ["--cfg_options", *pairs] if pairs else []
        config = vars(configuration.resolve(given))
        shown = _shown(settings, config)
        name = "_".join(_slug(axis, value) for axis, value in shown.items()) or "run"
        key = json.dumps(identity(config), sort_keys=True)
        if key not in seen:
            given += ["--res_dir", str(folder), "--ex_name", name]
            seen[key] = Run(name, shown, given, config)
            runs.append(seen[key])
        cells[tuple(settings.values())] = seen[key]
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        raise ValueError(
            f"two cells of the grid have the folder name {max(names, key=names.count)!r}; give values "
            "that differ in letters or digits."
        )
    if "seed" in axes:  # seed by seed, so that a sweep that is stopped early can be compared
        runs.sort(key=lambda run: axes["seed"].index(run.settings["seed"]))
    build_models(runs)
    return runs, cells


def build_models(runs: Sequence[Run]):
    """Each model once: what cannot be built is better known now than when its run has its turn."""
    built = set()
    for run in runs:
        method = get_method(run.config["method"])
        if not method.quantized:
            continue
        settings = accepted(method.model_cls, run.config)
        key = json.dumps([method.model_cls.__qualname__, settings], sort_keys=True)
        if key in built:
            continue
        built.add(key)
        try:
            method.model_cls(**settings)
        except TooLargeForMemory:  # of this machine, today: a result of that run
            continue
        except ValueError as error:
            raise ValueError(f"{run.name}: {error}") from error


def shown_value(value: Any) -> Any:
    """Lists and dictionaries as text: values are keys of tables."""
    return repr(value) if isinstance(value, (list, tuple, dict, set)) else value


def _pairs(cell: dict) -> list[str]:
    pairs = {_key(k): v for k, v in cell.items() if k != "config_file"}
    if pairs.get("quantizer") == "none":
        del pairs["quantizer"]
        pairs["quant_position"] = "none"
    return [f"{key}={value if parse_value(str(value)) == value else repr(value)}" for key, value in pairs.items()]


def _shown(settings: dict, config: dict) -> dict:
    """``settings`` with ``none`` for what has no effect in this cell."""
    axes = [axis for axis in settings if axis in ("quantizer", "quant_position") or _is_of_quantizer(axis)]
    if not get_method(config["method"]).quantized:
        if axes:
            quantized = [name for name, method in all_methods().items() if method.quantized]
            raise ValueError(
                f"axis {axes[0]} has no effect on the method {config['method']!r}; use one of {', '.join(quantized)}."
            )
        return settings
    return settings | (dict.fromkeys(axes, "none") if config["quant_position"] == "none" else {})


def _is_of_quantizer(axis: str) -> bool:
    return _key(axis).partition(".")[0] in _OF_THE_QUANTIZER


def _key(axis: str) -> str:
    return _SHORT_KEYS.get(axis, axis)


def _slug(axis: str, value) -> str:
    text = re.sub(r"[^\w.+]+", "-", str(value)).strip("-")
    return text if axis == "config_file" else f"{axis.rpartition('.')[2]}-{text}"


def _file_labels(files: Sequence[str]) -> dict[str, str]:
    """Short names of configuration files: the stem, with its folder where two have the same."""
    stems = [Path(file).stem for file in files]
    return {
        file: stem if stems.count(stem) == 1 else f"{Path(file).parent.name}.{stem}" for file, stem in zip(files, stems)
    }


def identity(config: dict) -> dict:
    """The part of a resolved configuration that decides a run's result."""
    # How many devices, not which: each takes a batch of its own.
    config = {**config, "devices": len(config.get("gpus") or [0])}
    ignored = set(_NOT_PART_OF_A_RUN)
    method = all_methods().get(config.get("method"))
    if method is None or not method.quantized:
        ignored |= _OF_THE_QUANTIZER | {"quant_position"}
    elif config.get("quant_position") == "none":
        ignored |= _OF_THE_QUANTIZER
    return {key: value for key, value in config.items() if key not in ignored}


def flat(config: dict) -> dict:
    """``config`` with the quantizer's arguments by the names of axes."""
    short = {key: axis for axis, key in _SHORT_KEYS.items()}
    inner = {f"quantizer_kwargs.{key}": value for key, value in (config.get("quantizer_kwargs") or {}).items()}
    outer = {key: value for key, value in config.items() if key != "quantizer_kwargs"}
    return {short.get(key, key): value for key, value in {**outer, **inner}.items()}


def parse_axis(word: str) -> tuple[str, list]:
    """``"lr=1e-3,5e-3"`` -> ``("lr", [0.001, 0.005])``; commas inside brackets or quotes do not separate."""
    axis, equals, text = word.partition("=")
    if not equals or not axis:
        raise ValueError(f"--grid takes KEY=VALUE,VALUE,..., got {word!r}.")
    return axis, [parse_value(value) for value in _parts(text)]


def _parts(text: str) -> list[str]:
    """Parted at the commas outside of brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if character == "," and not depth and not quote:
            parts.append("")
            continue
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"" and (depth or not parts[-1]):  # as in it's, it may be a letter
            quote = character
        else:
            depth += (character in "[({") - (character in "])}")
        parts[-1] += character
    if depth or quote or not all(parts):
        raise ValueError(
            f"--grid: {text!r} has {'an empty value' if not (depth or quote) else 'an open bracket or quote'}"
            "; give KEY=VALUE,VALUE,... ."
        )
    return parts
