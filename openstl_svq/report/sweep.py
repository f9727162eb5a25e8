"""The page about a sweep, or about a table of the paper."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import config as configuration
from ..benchmarks.tables import Table
from ..config_file import load_config
from ..figures import list_figures
from ..figures.scores import plot_scores
from ..figures.style import png, with_unit
from ..metrics import headline_metrics, lower_is_better
from ..metrics.report import score_unit
from ..statistics import mean_interval, with_interval
from ..sweep import failure
from ..sweep.results import COSTS, PROVENANCE, arms, axes_of, finished, read, scores_of, several
from .page import Page, Picture, Section, costs, duration, pairs, pictures_of, size
from .run import configuration_section, frames, on_disk

_FORECASTS = 6  # pictures of single runs
_MOST_VALUES = 12
_STATES = {"new": "not started", "interrupted": "interrupted, with a checkpoint to go on from"}


def page_of_sweep(folder: Path) -> Page:
    """What the folder of a sweep says: ``results.csv`` and the tables beside it, and the folders of its runs."""
    table = read(folder)
    rows, axes = finished(table), axes_of(table)
    configs = {row["run"]: path for row in rows if (path := folder / row["run"] / "config.py").is_file()}
    first = next(iter(configs.values()), None)
    config = {**configuration.defaults(), **load_config(first)} if first else {}
    groups: dict[str, list[dict]] = {}
    for row in arms(table):
        groups.setdefault(row["arm"] or "all", []).append(row)
    heading = _heading(folder)
    return Page(
        heading or f"Sweep {folder.resolve().name}",
        f"{len(rows)} of {len(table.rows)} runs are finished, {len(groups)} setting{'s' if len(groups) != 1 else ''}"
        f" over {_several(table.rows, 'seed')}.",
        [
            _what(folder, table, config),
            _scores(folder, table, groups, compared=heading is None),
            *([Section("Beside the paper", tables=[_read_markdown(folder / "table.md")])] if heading else []),
            _pictures(folder, groups),
            _configuration(configs, axes, config, first),
            _costs(folder, groups, rows),
            Section("Provenance", tables=[pairs({k: _values(rows, k) for k in PROVENANCE if _values(rows, k)})]),
            Section("Runs", tables=[_runs(table)]),
        ],
    )


def _heading(folder: Path) -> str | None:
    """The title of a table of the paper that was reproduced here."""
    path = folder / "table.md"
    return path.read_text(encoding="utf-8").partition("\n")[0].strip("*") if path.is_file() else None


def _several(rows: Sequence[Mapping], key: str) -> str:
    values = list(dict.fromkeys(str(row[key]) for row in rows if row.get(key) is not None))
    return f"{key} {values[0]}" if len(values) == 1 else f"{len(values)} {key}s ({', '.join(values)})"


def _values(rows: Sequence[Mapping], key: str) -> str:
    """All values of a column; of dates the first and the last."""
    values = sorted(
        {f"{v:g}" if isinstance(v := row[key], float) else str(v) for row in rows if row.get(key) is not None}
    )
    if key == "date":
        return " to ".join(values[:: max(1, len(values) - 1)])
    return ", ".join(values) if len(values) <= _MOST_VALUES else f"{len(values)} different"


def _what(folder: Path, table: Table, config: Mapping[str, Any]) -> Section:
    rows = finished(table)
    axes = {axis: _values(table.rows, axis) for axis in axes_of(table)}
    unfinished = {
        row["run"]: f"failed: {failure(folder / 'logs' / (row['run'] + '.log'))}"
        if row["state"] == "failed"
        else _STATES.get(row["state"], row["state"])
        for row in table.rows
        if row["state"] != "finished"
    }
    tables = [
        pairs(
            {
                "data": _values(rows, "dataset"),
                "forecast": frames(config) if config and len({row.get("dataset") for row in rows}) == 1 else None,
                "method": _values(rows, "method"),
                "protocol": _values(rows, "protocol"),
                **{f"axis {axis}": values for axis, values in axes.items()},
            }
        )
    ]
    lines = []
    if unfinished:
        lines.append(f"Not finished, and in none of the scores: {len(unfinished)} of {len(table.rows)} runs.")
        tables.append(pairs(unfinished))
    return Section("What was run", lines, tables)


def _scores(folder: Path, table: Table, groups: Mapping[str, list[dict]], *, compared: bool) -> Section:
    """Means over seeds with intervals, a table and a picture for each dataset, and the sweep's own comparison."""
    section = Section("Scores")
    others = several(table)
    datasets = list(dict.fromkeys(row.get("dataset") for of in groups.values() for row in of))
    for dataset in datasets:
        of_dataset = {name: of for name, of in groups.items() if of[0].get("dataset") == dataset}
        names = [n for n in headline_metrics() if any(n in row for of in of_dataset.values() for row in of)]
        names = names or scores_of(table)[:3]
        units = _units(folder, of_dataset)
        rows = []
        for of in of_dataset.values():
            row = {axis: str(of[0].get(axis, "")) for axis in others} | {"runs": len(of)}
            for name in names:
                if values := [run[name] for run in of if name in run]:
                    mean, half = mean_interval(values)
                    row[name] = with_interval(mean, mean - half, mean + half, ".4g")
            rows.append(row)
        heads = {name: _label(name, units) for name in names}
        better = [f"{n} is better {'lower' if lower_is_better(n) else 'higher'}" for n in names]
        note = (
            f"Mean over seeds, in brackets Student's 95 % interval, which needs two runs or more; {', '.join(better)}."
        )
        if len(datasets) > 1:
            note = f"{dataset}. {note}"
        section.tables.append(Table({axis: axis for axis in others} | {"runs": "runs"} | heads, rows, notes=[note]))
        drawn = {
            heads[n]: {name: found for name, of in of_dataset.items() if (found := [r[n] for r in of if n in r])}
            for n in names
        }
        if len(of_dataset) > 1 and names:
            caption = "Scores of each setting: seeds (grey), mean and Student's 95 % interval"
            section.pictures.append(
                Picture(png(plot_scores(drawn)), f"{dataset}: {caption}" if len(datasets) > 1 else caption)
            )
    if compared and (folder / "summary.md").is_file():
        summary = _read_markdown(folder / "summary.md")
        if any(head.endswith(" difference") for head in summary.heads):
            section.tables.append(summary)
    return section


def _units(folder: Path, groups: Mapping[str, list[dict]]) -> Any:
    for of in groups.values():
        for row in of:
            try:
                return json.loads((folder / row["run"] / "metrics.json").read_text(encoding="utf-8")).get("units")
            except (FileNotFoundError, ValueError):
                continue
    return None


def _label(name: str, units: Any) -> str:
    return with_unit(name, score_unit(name, units))


def _read_markdown(path: Path) -> Table:
    """A table that :meth:`openstl_svq.benchmarks.tables.Table.markdown` wrote, its notes too."""
    lines = path.read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    heads, _, *rows = cells
    return Table(
        {str(i): head for i, head in enumerate(heads)},
        [{str(i): cell for i, cell in enumerate(row)} for row in rows],
        notes=[line.removeprefix("- ") for line in lines if line.startswith("- ")],
    )


def _pictures(folder: Path, groups: Mapping[str, list[dict]]) -> Section:
    captions = list_figures() | {"curves": "what the runs logged while they trained"}
    found = pictures_of([folder / "curves.png", *sorted((folder / "figures").glob("*.png"))], captions)
    shown = list(groups.items())[:_FORECASTS]
    for name, of in shown:
        path = folder / of[0]["run"] / "forecast.png"
        found += [Picture(p.content, f"{name}: {p.caption}") for p in pictures_of([path], captions)]
    left = len(groups) - len(shown)
    lines = [f"Forecasts of the first {len(shown)} settings; {left} more lie in the runs' folders."] if left else []
    return Section("Pictures", lines, pictures=found)


def _configuration(
    configs: Mapping[str, Path], axes: Sequence[str], config: Mapping[str, Any], first: Path | None
) -> Section:
    if first is None:
        return Section("Configuration", ["The runs' folders are not here."])
    all_of = [load_config(path) for path in configs.values()]
    shared = {
        k: v for k, v in config.items() if k not in axes and all(k in other and other[k] == v for other in all_of)
    }
    section = configuration_section(shared, first.read_text(encoding="utf-8"))
    section.lines = [
        "Settings that all runs share and that are not the command line's defaults. All settings below are those of "
        f"{first.parent.name}."
    ]
    return section


def _costs(folder: Path, groups: Mapping[str, list[dict]], rows: Sequence[Mapping]) -> Section:
    table = []
    for name, of in groups.items():
        mean = {}
        for key in COSTS:
            if values := [row[key] for row in of if isinstance(row.get(key), float)]:
                mean[key] = sum(values) / len(values)
        table.append({"setting": name, **costs(mean)})
    columns = {key: key for key in dict.fromkeys(key for row in table for key in row)}
    seconds = [row["train_seconds"] for row in rows if isinstance(row.get("train_seconds"), float)]
    lines = [f"{size(on_disk(folder))} on disk."]
    if seconds:
        lines.insert(0, f"{duration(sum(seconds))} of training in {len(seconds)} runs; below, means over seeds.")
    return Section("Costs", lines, [Table(columns, table)] if len(columns) > 1 else [])


def _runs(table: Table) -> Table:
    keep = [*axes_of(table), "state", *[n for n in headline_metrics() if n in table.columns], "train_seconds", "device"]
    columns: dict = {key: (key, ".5g") for key in keep if key in table.columns}
    return Table(columns, table.rows, f"All {len(table.rows)} runs; all columns are in results.csv")
