"""The tables of a sweep: a row for each run, and over seeds the means and the paired differences to a baseline."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from ..benchmarks.tables import Table
from ..files import write_text
from ..jobs import scores
from ..metrics import find_metric, headline_metrics, list_metrics, lower_is_better
from ..naming import choose
from ..statistics import mean_interval, with_interval, with_spread
from .plan import Run
from .results import FILE, write


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
    import pandas as pd

    axes, baseline = list(axes), baseline or {}
    others = [axis for axis in axes if axis != "seed"]
    records = []
    for run in runs:
        partner = _partner(run, cells, axes, baseline) if baseline else None
        for metric, value in (scores(folder / run.name) or {}).items():
            records.append((run.name, None if partner is None or partner is run else partner.name, metric, value))
    found = pd.DataFrame(records, columns=["run", "partner", "metric", "value"])
    absent = [name for name in metrics or () if name not in set(found["metric"])]
    there = set(found["metric"])
    metrics = [name for name in metrics if name in there] if metrics else headline_metrics(there)
    found = found[found["metric"].isin(metrics)]
    base = found[["run", "metric", "value"]].rename(columns={"run": "partner", "value": "base"})
    found = found.merge(base, on=["partner", "metric"], how="left", indicator="paired")
    found["difference"] = found["value"] - found["base"]
    found["percent"] = 100 * found["difference"] / found["base"].abs().where(found["base"] != 0)

    rows, relative = [], []
    for key, members in _groups(runs, others).items():
        part = found[found["run"].isin([run.name for run in members])]
        row = dict(zip(others, key)) | {"runs": part["run"].nunique()}
        contrast = tuple(row[axis] for axis in others if axis in baseline)
        for metric, of_metric in part.groupby("metric"):
            # A score that is not a number is one that its mean shows, not one to leave out.
            row |= {f"{metric}_mean": of_metric["value"].mean(skipna=False), f"{metric}_std": of_metric["value"].std()}
            both = of_metric[of_metric["paired"] == "both"]
            if len(both):
                row |= _difference(metric, both["difference"].tolist())
                row[f"{metric}_percent"] = both["percent"].mean()
                relative.append(both.assign(contrast=[contrast] * len(both), group=len(rows)))
        rows.append(row)
    if relative:
        for contrast, pairs in pd.concat(relative).groupby("contrast", sort=False):
            if pairs.groupby("metric")["group"].nunique().min() < 2:
                continue
            row = dict.fromkeys(others, "all") | dict(zip((axis for axis in others if axis in baseline), contrast))
            for metric, of_metric in pairs.dropna(subset=["percent"]).groupby("metric"):
                # Cells that share a baseline's run are no independent pairs: their mean is one.
                percent = of_metric.groupby("partner")["percent"].mean()
                mean, half = mean_interval(percent.tolist())
                row |= {"pairs": len(percent), f"{metric}_percent": mean}
                row |= {f"{metric}_percent_low": mean - half, f"{metric}_percent_high": mean + half}
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
            row[f"{metric}_text"] = with_spread(row.get(f"{metric}_mean"), row.get(f"{metric}_std"))
            for key, form in ((f"{metric}_difference", "+.3g"), (f"{metric}_percent", "+.1f")):
                row[f"{key}_text"] = with_interval(*(row.get(f"{key}{end}") for end in ("", "_low", "_high")), form)
    better = [f"{m} is better {'lower' if lower_is_better(m) else 'higher'}" for m in metrics]
    notes = [f"Mean over seeds ± standard deviation; {', '.join(better)}." if better else "No run has a score yet."]
    if baseline:
        named = ", ".join(f"{axis} = {value}" for axis, value in baseline.items())
        notes.append(
            f"Difference: to the same cell with {named}, paired by seed; in brackets Student's 95 % interval, "
            "which needs two seeds or more."
        )
    if absent:
        notes.append(f"No run has {', '.join(absent)}.")
    return Table(columns, rows, notes=notes)


def draw_curves(runs: Sequence[Run], folder: Path, axes: Iterable[str]) -> Path | None:
    """``curves.png``: what the runs logged while they trained, a colour for each cell over its seeds."""
    from ..figures.curves import plot_comparison
    from ..figures.style import save

    groups = _groups(runs, _several([axis for axis in axes if axis != "seed"], [run.settings for run in runs]))
    folders = {", ".join(map(str, key)) or "runs": [folder / run.name for run in of] for key, of in groups.items()}
    try:
        return save(plot_comparison(folders), folder / "curves.png")
    except ValueError:  # no run has logged anything
        return None


def _several(axes: Sequence[str], rows: Sequence[dict]) -> list[str]:
    """The axes with more than one value, or all if there is none."""
    return [axis for axis in axes if len({str(row[axis]) for row in rows}) > 1] or list(axes)


def write_tables(folder: Path, runs_: Table, summary: Table) -> None:
    """``results.csv``, ``summary.md`` and ``summary.csv``, the last with the numbers behind the texts."""
    numbers = dict.fromkeys(k for row in summary.rows for k in row if not k.endswith("_text"))
    texts = {"summary.csv": Table({k: k for k in numbers}, summary.rows).csv(), "summary.md": summary.markdown() + "\n"}
    for name, text in texts.items():
        write_text(folder / name, text)
    write(runs_, folder / FILE)
