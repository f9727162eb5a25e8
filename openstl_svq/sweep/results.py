"""``results.csv``: the runs of a sweep, one row each, with settings, scores, costs, and what they were run with.

Columns before ``state`` are the axes, the settings in which the runs differ. Then come the run's folder, its test scores
by name, the last value of what it logged while it trained, its costs, and where the numbers come from.
"""

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .. import config as configuration
from ..benchmarks.tables import Table
from ..config_file import load_config
from ..files import reading, write_text
from ..jobs import scores
from ..metrics import find_metric
from .plan import Run, flat, identity, shown_value
from .run import state

FILE = "results.csv"
COSTS = ("parameters", "flops", "train_seconds", "peak_gpu_memory", "frames_per_second")
PROVENANCE = ("dataset", "method", "protocol", "epochs", "openstl_svq", "host", "host_version", "torch", "timm")
PROVENANCE += ("pytorch_lightning", "device", "date", "configuration")
_STATE = "state"
# Of runs that differ in several settings at once, those that name them best.
_FIRST = ("config_file", "dataname", "method", "model_type", "quantizer", "quant_position", "codebook_size")


def runs_table(runs: Sequence[Run], folder: Path, axes: Iterable[str], failed: Iterable[str] = ()) -> Table:
    """A row for every run of a plan, finished or not."""
    rows = []
    for run in runs:
        found = scores(folder / run.name)
        status = "finished" if found is not None else "failed" if run.name in failed else state(run, folder)
        rows.append({**run.settings, _STATE: status, **_of_run(folder / run.name, run.config)})
    return _table(list(axes), rows)


def collect(folder: Path) -> Table:
    """A row for every finished run in ``folder``, which may be of any kind: runs of a sweep, or trained one by one.

    The axes are the fewest settings that tell the runs apart, and the seed.

    Raises:
        ValueError: no finished run in the folder.
    """
    places = sorted(path.parent for path in folder.glob("*/metrics.json") if scores(path.parent) is not None)
    if not places:
        raise ValueError(
            f"{folder} holds no finished run: give the folder of a sweep (RES_DIR/EX_NAME of tools/sweep.py)."
        )
    configs = [{**configuration.defaults(), **load_config(place / "config.py")} for place in places]
    settings = [_settings(config) for config in configs]
    axes = _telling(settings)
    rows = [
        {axis: setting.get(axis, "none") for axis in axes}
        | {"seed": config["seed"], _STATE: "finished"}
        | _of_run(place, config)
        for place, config, setting in zip(places, configs, settings)
    ]
    return _table([*axes, "seed"], rows)


def read(place: str | os.PathLike) -> Table:
    """The rows of a ``results.csv``, of the folder where one lies, or else of the finished runs in that folder.

    Numbers are numbers again; what is empty is not in its row.

    Raises:
        FileNotFoundError: there is no such place.
        ValueError: another kind of file, or a folder without a finished run.
    """
    path = Path(place)
    if path.is_dir():
        if not (path / FILE).is_file():
            return collect(path)
        path /= FILE
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. Give a results.csv, or the folder of a sweep.")
    with reading(path), open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns, lines = list(reader.fieldnames or ()), list(reader)
    if not {_STATE, "run"} <= set(columns):
        raise ValueError(
            f"{path} is no results.csv of a sweep (a column {_STATE!r} and a column 'run' are not there); "
            "tools/sweep.py writes one, and tools/study.py SWEEP --rows FILE from the folder of an older sweep."
        )
    texts = {*columns[: columns.index(_STATE)], _STATE, "run", *PROVENANCE}
    return Table(
        {column: column for column in columns},
        [{key: text if key in texts else _number(text) for key, text in line.items() if text} for line in lines],
    )


def write(table: Table, path: str | os.PathLike) -> Path:
    """Writes ``table``, complete or not at all."""
    write_text(path, table.csv())
    return Path(path)


def axes_of(table: Table) -> list[str]:
    """The settings in which the runs of ``table`` differ, the seed among them."""
    return list(table.columns)[: list(table.columns).index(_STATE)]


def scores_of(table: Table) -> list[str]:
    """Names of the scores in ``table``."""
    return [column for column in table.columns if find_metric(column)]


def finished(table: Table) -> list[dict]:
    """The rows of finished runs."""
    return [row for row in table.rows if row[_STATE] == "finished"]


def several(table: Table) -> list[str]:
    """The axes that have several values, the seed aside; all of them where none has."""
    others = [axis for axis in axes_of(table) if axis != "seed"]
    return [axis for axis in others if len({str(row.get(axis)) for row in table.rows}) > 1] or others


def arms(table: Table) -> list[dict]:
    """The rows of finished runs, each with ``arm``: its values of the axes of :func:`several`."""
    axes = several(table)
    return [{**row, "arm": arm_name(row, axes)} for row in finished(table)]


def arm_name(row: Mapping, axes: Sequence[str]) -> str:
    """The row's values of ``axes``, as a name."""
    return ", ".join(str(row.get(axis, "")) for axis in axes)


def configuration_hash(config: Mapping) -> str:
    """Ten digits for the settings that decide a result and are not the default, the seed and the place of data aside."""
    defaults = configuration.defaults()
    ours = {k: v for k, v in identity(dict(config)).items() if k not in ("seed", "data_root") and v != defaults.get(k)}
    text = json.dumps(ours, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _of_run(place: Path, config: Mapping) -> dict:
    """What a run's folder says: name, scores, last values, costs, provenance."""
    from ..figures.curves import training_curves  # matplotlib, which a plan does not need

    row: dict = {"run": place.name, "configuration": configuration_hash(config)}
    row |= {key: config[name] for key, name in (("dataset", "dataname"), ("method", "method")) if config.get(name)}
    if (found := scores(place)) is None:
        return row
    saved = json.loads((place / "metrics.json").read_text(encoding="utf-8")).get("provenance") or {}
    last = {name.replace(" ", "_"): float(y[-1]) for name, (_, y) in training_curves(place).items()}
    about = {key: saved[key] for key in (*COSTS, *PROVENANCE) if saved.get(key) is not None}
    return row | found | last | about


def _table(axes: list[str], rows: list[dict]) -> Table:
    found = dict.fromkeys(key for row in rows for key in row if key not in axes)
    end = [key for key in (*COSTS, *PROVENANCE) if key in found]
    middle = [key for key in found if key not in (_STATE, "run", *end)]
    middle.sort(key=lambda key: find_metric(key) is None)  # scores before what was logged, each in its order
    return Table({key: key for key in (*axes, _STATE, "run", *middle, *end)}, rows)


def _settings(config: dict) -> dict[str, str]:
    """What may tell a run from another, as text."""
    found = flat(identity(config))
    if config.get("config_file"):
        found["config_file"] = Path(config["config_file"]).stem
    return {key: str(shown_value(value)) for key, value in found.items() if key != "seed"}


def _telling(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """The fewest keys, best names first, by which those that differ in any can be told apart."""

    def kinds(keys: Sequence[str]) -> int:
        return len({tuple(setting.get(key) for key in keys) for setting in settings})

    known = dict.fromkeys((*_FIRST, *sorted({key for setting in settings for key in setting})))
    axes: list[str] = []
    for key in known:
        if kinds(axes) == kinds(list(known)):
            break
        if kinds([*axes, key]) > kinds(axes):
            axes.append(key)
    return axes


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
