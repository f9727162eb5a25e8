"""A grid of runs: each is trained once, one after another, and their scores become one table.

A sweep owns the folder ``res_dir/ex_name``; every run of it is a run folder there, as ``tools/train.py`` makes it::

    NAME/                     config.py, checkpoints/, metrics.json, ...
    logs/NAME.log             what the run printed
    runs.csv                  one row for every run: settings, state, scores
    summary.md, summary.csv   over seeds: mean, spread, paired difference to the baseline
    curves.png                validation loss and perplexity of all runs by epoch
"""

import contextlib
import itertools
import json
import math
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .. import config as configuration
from ..benchmarks.tables import Table
from ..figures.curves import plot_comparison
from ..files import replacing
from ..host import load_config
from ..methods import all_methods, get_method
from ..metrics import find_metric, headline_metrics, list_metrics
from ..naming import accepted, choose
from ..quantizers.memory import TooLargeForMemory
from ..statistics import mean_interval

try:
    import fcntl
except ImportError:  # not on Windows; two sweeps in one folder are then the user's care
    fcntl = None

# Where a run was, and on what it ran, does not make it another run.
_NOT_PART_OF_A_RUN = {
    "res_dir",
    "ex_name",
    "config_file",
    "resume",
    "test",
    "ckpt_path",
    "fps",
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
_POLL_SECONDS = 0.5


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


# the plan


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
            axis: labels[value] if axis == "config_file" else _shown_value(value) for axis, value in cell.items()
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
    _build_models(runs)
    return runs, cells


def _build_models(runs: Sequence[Run]):
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


def _shown_value(value):
    """Lists and dictionaries as text: values are keys of tables."""
    return repr(value) if isinstance(value, (list, tuple, dict, set)) else value


def _pairs(cell: dict) -> list[str]:
    pairs = {_key(k): v for k, v in cell.items() if k != "config_file"}
    if pairs.get("quantizer") == "none":
        del pairs["quantizer"]
        pairs["quant_position"] = "none"
    return [
        f"{key}={value if configuration.parse_value(str(value)) == value else repr(value)}"
        for key, value in pairs.items()
    ]


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


def parse_axis(word: str) -> tuple[str, list]:
    """``"lr=1e-3,5e-3"`` -> ``("lr", [0.001, 0.005])``; commas inside brackets or quotes do not separate."""
    axis, equals, text = word.partition("=")
    if not equals or not axis:
        raise ValueError(f"--grid takes KEY=VALUE,VALUE,..., got {word!r}.")
    return axis, [configuration.parse_value(value) for value in _parts(text)]


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


# the state of a run


def state(run: Run, folder: Path) -> str:
    """``finished``, ``interrupted`` (with a checkpoint to go on from), or ``new``.

    Raises:
        ValueError: the run's folder holds something else.
    """
    place = folder / run.name
    if not place.is_dir() or not any(place.iterdir()):
        return "new"
    try:
        saved = load_config(place / "config.py")
    except (FileNotFoundError, ValueError):
        raise ValueError(
            f"{place} exists and is not a run folder. Move it away, or give the sweep another --ex_name."
        ) from None
    # A key that is newer than the saved run had its default then.
    here, there = identity(run.config), identity({**configuration.defaults(), **saved})
    differing = sorted(k for k in here.keys() | there.keys() if here.get(k) != there.get(k))
    if differing:
        shown = "; ".join(f"{k} is {there.get(k)!r} there and {here.get(k)!r} now" for k in differing[:3])
        raise ValueError(
            f"{place} holds a run with another configuration: {shown}. Give the sweep another --ex_name, "
            "or move that folder away."
        )
    if scores(place) is not None:
        return "finished"
    return "interrupted" if (place / "checkpoints" / "last.ckpt").is_file() else "new"


def scores(run_folder: Path) -> dict[str, float] | None:
    """The model's scores over all lead times, or None where the run has none yet."""
    try:
        record = json.loads((run_folder / "metrics.json").read_text(encoding="utf-8"))
        found = record["scores"]["model"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return {name: math.nan if value is None else value for name, value in found.items() if not isinstance(value, list)}


# running


@contextlib.contextmanager
def locked(folder: Path, waiting: Callable[[], None]):
    """Holds the folder for one sweep; yields the descriptor for its runs to inherit.

    So if the sweep is killed and its run goes on alone, the next sweep waits for that run instead of starting it twice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w", encoding="ascii") as file:
        if fcntl:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def execute(run: Run, folder: Path, train: Path, lock: int, progress: Callable[[str], None] | None = None) -> int:
    """Runs ``train`` (``tools/train.py``) for one cell, on from where an earlier attempt stopped; its exit status."""
    words = list(run.words)
    place = folder / run.name
    if state(run, folder) == "interrupted":
        words.append("--resume")
    elif place.is_dir():  # stopped before the first checkpoint: nothing to go on from
        shutil.rmtree(place)
    log = _log_file(run, folder)
    log.parent.mkdir(exist_ok=True)
    with open(log, "a", encoding="utf-8") as output:
        process = subprocess.Popen(
            [sys.executable, str(train), *words],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            pass_fds=(lock,) if fcntl else (),
        )
        try:
            while process.poll() is None:
                if progress:
                    progress(last_line(log))
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL_SECONDS)
        except BaseException:  # interrupted: the run saves what it has and ends first
            process.terminate() if sys.platform == "win32" else process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            raise
    return process.returncode


def _log_file(run: Run, folder: Path) -> Path:
    return folder / "logs" / f"{run.name}.log"


def last_line(log: Path) -> str:
    """The last line that is not empty; a progress bar rewrites its line with carriage returns."""
    return next(reversed(_last_lines(log)), "")


def failure(log: Path, begin: int = 0) -> str:
    """Why a run failed: the last error that it printed (a progress bar may come after it), or its last line.

    Args:
        begin: where this attempt begins in the file.
    """
    lines = _last_lines(log, begin)
    return next((line for line in reversed(lines) if line.startswith("error: ")), lines[-1] if lines else "")


def _last_lines(log: Path, begin: int = 0) -> list[str]:
    try:
        with open(log, "rb") as file:
            file.seek(max(begin, file.seek(0, 2) - 4096))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = [line.strip() for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text))]
    return [line for line in lines if line]


def sweep(runs: Sequence[Run], folder: Path, train: Path, report: Callable[[str], None], display) -> dict[str, str]:
    """Runs what is not finished. Returns the failed runs' names with the last line that each printed.

    Args:
        report: takes a line for every run that ends.
        display: a progress bar with tqdm's ``update`` and ``set_postfix_str``.
    """
    for run in runs:
        state(run, folder)  # a folder in the way stops the sweep before it starts, not in its middle
    failed = {}
    in_use = f"{folder} is in use: waiting for the run of another or a killed sweep to end"
    with locked(folder, lambda: report(in_use)) as lock:
        width = len(str(len(runs)))
        for number, run in enumerate(runs, 1):
            if state(run, folder) == "finished":
                display.update()
                continue
            started, log = time.monotonic(), _log_file(run, folder)
            begin = log.stat().st_size if log.exists() else 0
            status = execute(
                run, folder, train, lock, lambda line, name=run.name: display.set_postfix_str(f"{name}: {line}"[:100])
            )
            found = scores(folder / run.name)
            if status == 0 and found is None:
                status = "no metrics.json"
            minutes, seconds = divmod(round(time.monotonic() - started), 60)
            if status:
                failed[run.name] = failure(log, begin)
                result = f"FAILED ({status}): {failed[run.name]}"
            else:
                result = ", ".join(f"{k} {v:.4g}" for k, v in found.items() if k in headline_metrics())
            report(f"[{number:{width}}/{len(runs)}] {run.name}  {minutes}:{seconds:02}  {result}")
            display.update()
    return failed


# the tables


def runs_table(runs: Sequence[Run], folder: Path, axes: Iterable[str], failed: Iterable[str] = ()) -> Table:
    """One row for every run."""
    rows = []
    for run in runs:
        found = scores(folder / run.name)
        status = "finished" if found is not None else "failed" if run.name in failed else state(run, folder)
        rows.append({**run.settings, "state": status, **(found or {}), "folder": str(folder / run.name)})
    metrics = dict.fromkeys(k for row in rows for k in row if k not in (*axes, "state", "folder"))
    return Table({k: k for k in (*axes, "state", *metrics, "folder")}, rows)


def summary_table(
    runs: Sequence[Run],
    cells: dict,
    folder: Path,
    axes: Sequence[str],
    baseline: dict | None = None,
    metrics: Sequence[str] | None = None,
) -> Table:
    """Over seeds: mean, standard deviation, and the paired difference to the baseline.

    The baseline of a cell is the cell whose axes named in ``baseline`` have the values given there and which is
    otherwise the same, seed included. Where a comparison is made on several backbones, a row ``all`` follows: the
    relative difference over all pairs.

    A metric that no run has makes no column, and a note if it was asked for.
    """
    axes = list(axes)
    baseline = baseline or {}
    found = {run.name: scores(folder / run.name) or {} for run in runs}
    present = {name for values in found.values() for name in values}
    absent = [name for name in metrics or () if name not in present]
    metrics = [name for name in metrics or headline_metrics() if name in present]

    others = [axis for axis in axes if axis != "seed"]
    groups = _groups(runs, others)
    rows, relative = [], {}
    for key, members in groups.items():
        row = dict(zip(others, key)) | {"runs": sum(bool(found[run.name]) for run in members)}
        pairs = [(run, _partner(run, cells, axes, baseline)) for run in members] if baseline else []
        for metric in metrics:
            values = [found[run.name][metric] for run in members if metric in found[run.name]]
            row[f"{metric}_mean"] = statistics.fmean(values) if values else None
            row[f"{metric}_std"] = statistics.stdev(values) if len(values) > 1 else None
            both = [
                (found[run.name][metric], found[partner.name][metric], partner.name)
                for run, partner in pairs
                if partner is not None
                and partner is not run
                and metric in found[run.name]
                and metric in found[partner.name]
            ]
            if both:
                row |= _difference(metric, [a - b for a, b, _ in both])
                percent = [(name, 100 * (a - b) / abs(b)) for a, b, name in both if b]
                row[f"{metric}_percent"] = statistics.fmean(value for _, value in percent) if percent else None
                contrast = tuple(row[axis] for axis in others if axis in baseline)
                relative.setdefault(contrast, {}).setdefault(metric, []).append(percent)
        rows.append(row)
    for contrast, by_metric in relative.items():
        if all(len(groups_) > 1 for groups_ in by_metric.values()):
            row = dict.fromkeys(others, "all") | dict(zip((a for a in others if a in baseline), contrast))
            for metric, groups_ in by_metric.items():
                # Cells that share a baseline's run are no independent pairs: their mean is one.
                partners: dict[str, list[float]] = {}
                for name, value in itertools.chain(*groups_):
                    partners.setdefault(name, []).append(value)
                percent = [statistics.fmean(values) for values in partners.values()]
                if not percent:
                    continue
                mean, half = mean_interval(percent)
                row |= {
                    "pairs": len(percent),
                    f"{metric}_percent": mean,
                    f"{metric}_percent_low": mean - half,
                    f"{metric}_percent_high": mean + half,
                }
            rows.append(row)
    return _summary(rows, others, metrics, baseline, absent)


def check_table(
    runs: Sequence[Run], cells: dict, axes: Sequence[str], baseline: dict, metrics: Sequence[str] | None
) -> None:
    """What :func:`summary_table` is going to be asked for, looked at before anything runs.

    Raises:
        ValueError: a baseline that names no axis, or a value that the axis does not have; a metric that no run of these
            datasets has.
    """
    axes = list(axes)
    for axis, value in baseline.items():
        choose("axis", axis, [axis for axis in axes if axis != "seed"])  # differences are paired by seed
        choose(
            f"value of {axis} for the baseline",
            str(value),
            {str(run.settings[axis]) for run in cells.values()} | {str(cell[axes.index(axis)]) for cell in cells},
        )
    for name in metrics or ():
        if find_metric(name) is None:
            choose("metric", name, list_metrics())


def _groups(runs: Sequence[Run], axes: Sequence[str]) -> dict[tuple, list[Run]]:
    """Runs with the same values on ``axes``."""
    groups: dict[tuple, list[Run]] = {}
    for run in runs:
        groups.setdefault(tuple(run.settings[axis] for axis in axes), []).append(run)
    return groups


def _partner(run: Run, cells: dict, axes: Sequence[str], baseline: dict) -> Run | None:
    wanted = {**run.settings, **baseline}
    for cell, candidate in cells.items():
        if all(str(value) == str(wanted[axis]) for axis, value in zip(axes, cell)):
            return candidate
    return None


def _difference(metric: str, values: list[float]) -> dict:
    mean, half = mean_interval(values)
    return {
        "pairs": len(values),
        f"{metric}_difference": mean,
        f"{metric}_difference_low": mean - half,
        f"{metric}_difference_high": mean + half,
    }


def _summary(rows, axes, metrics, baseline, absent) -> Table:
    columns = {axis: axis for axis in _several(axes, rows)} | {"runs": "runs"}
    for metric in metrics:
        columns[f"{metric}_text"] = metric
        if baseline:
            columns |= {f"{metric}_difference_text": f"{metric} difference", f"{metric}_percent_text": "%"}
    for row in rows:
        for metric in metrics:
            mean, std = row.get(f"{metric}_mean"), row.get(f"{metric}_std")
            row[f"{metric}_text"] = None if mean is None else f"{mean:.4g}" + ("" if std is None else f" ± {std:.2g}")
            row[f"{metric}_difference_text"] = _with_interval(row, f"{metric}_difference", "+.3g")
            row[f"{metric}_percent_text"] = _with_interval(row, f"{metric}_percent", "+.1f")
    notes = ["Mean over seeds ± standard deviation."]
    if baseline:
        named = ", ".join(f"{axis} = {value}" for axis, value in baseline.items())
        notes.append(
            f"Difference: to the same cell with {named}, paired by seed; in brackets Student's 95 % interval, "
            "which needs two seeds or more."
        )
    if absent:
        notes.append(f"No run has {', '.join(absent)}.")
    return Table(columns, rows, notes=notes)


def _with_interval(row: dict, key: str, form: str) -> str | None:
    value, low, high = (row.get(f"{key}{end}") for end in ("", "_low", "_high"))
    if value is None:
        return None
    text = format(value, form)
    return text if low is None or math.isnan(low) else f"{text} ({low:{form}} to {high:{form}})"


def draw_curves(runs: Sequence[Run], folder: Path, axes: Iterable[str]) -> Path | None:
    """``curves.png``: what the runs logged while they trained, a colour for each cell over its seeds."""
    groups = _groups(runs, _several([axis for axis in axes if axis != "seed"], [run.settings for run in runs]))
    return plot_comparison(
        folder / "curves.png",
        {", ".join(map(str, key)) or "runs": [folder / run.name for run in members] for key, members in groups.items()},
    )


def _several(axes: Sequence[str], rows: Sequence[dict]) -> list[str]:
    """The axes with more than one value, or all if there is none."""
    return [axis for axis in axes if len({str(row[axis]) for row in rows}) > 1] or list(axes)


def write_tables(folder: Path, runs_: Table, summary: Table) -> None:
    """``runs.csv``, ``summary.md`` and ``summary.csv``, the last with the numbers behind the texts."""
    numbers = dict.fromkeys(k for row in summary.rows for k in row if not k.endswith("_text"))
    texts = {
        "runs.csv": runs_.csv(),
        "summary.csv": Table({k: k for k in numbers}, summary.rows).csv(),
        "summary.md": summary.markdown() + "\n",
    }
    for name, text in texts.items():
        with replacing(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")
