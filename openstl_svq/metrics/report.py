"""Scores as files and as a table: the model beside the reference forecasts."""

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..files import write_text
from .base import NORMALISED, find_metric

REFERENCES = ("persistence", "climatology")

Scores = Mapping[str, float | Sequence[float]]  # what ForecastMetrics.compute returns

_BY_LEAD = "_by_lead"


def write_metrics(
    folder: str | os.PathLike,
    results: Mapping[str, Scores],
    *,
    units: str | Mapping[str, str | None] | None = None,
    provenance: Mapping | None = None,
) -> tuple[Path, Path]:
    """Writes ``metrics.json`` and ``metrics.csv`` into ``folder``, each complete or not at all.

    The CSV is tidy: one row per value, with the columns model, metric, lead (1 is the first forecast frame; empty for
    the score over all), value, unit. Skill against the references is among the metrics (see :func:`skill`). Values that
    are not finite are null in the JSON.

    Args:
        results: scores by the name of the forecast, ``{"model": ..., "persistence": ..., "climatology": ...}``.
        units: of the forecast quantity, or of each variable and channel by its name in the scores, for the column of units.
        provenance: what else is kept in the JSON: seed, versions, device, configuration.

    Returns:
        The paths of both files.
    """
    folder = Path(folder)
    rows = tidy_rows(results, units)
    table = io.StringIO()
    writer = csv.DictWriter(table, ["model", "metric", "lead", "value", "unit"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    record = _json_safe({"provenance": provenance or {}, "units": units, "scores": results, "skill": skill(results)})
    paths = folder / "metrics.json", folder / "metrics.csv"
    for path, text in zip(paths, (json.dumps(record, indent=1, allow_nan=False) + "\n", table.getvalue())):
        write_text(path, text)
    return paths


def tidy_rows(results: Mapping[str, Scores], units: str | Mapping[str, str | None] | None = None) -> list[dict]:
    """One row per value, as in ``metrics.csv``."""
    rows, gains = [], skill(results)
    for model, scores in results.items():
        named = {
            "_".join([_skill(name), reference, *name.split("_")[1:]]): value
            for reference, by_name in gains.get(model, {}).items()
            for name, value in by_name.items()
        }
        for name, value in {**scores, **named}.items():
            metric = name.removesuffix(_BY_LEAD)
            leads = enumerate(value, 1) if isinstance(value, Sequence) else [("", value)]
            for lead, single in leads:
                rows.append(
                    {"model": model, "metric": metric, "lead": lead, "value": single, "unit": score_unit(metric, units)}
                )
    return rows


def skill(results: Mapping[str, Scores]) -> dict[str, dict[str, dict[str, float | list[float]]]]:
    """``1 - score / score of the reference``: 1 is perfect, 0 as good as the reference, negative worse.

    Returns:
        ``{model: {reference: {"mse": ..., "mse_u": ..., "mse_by_lead": [...]}}}`` for every forecast that is not a
        reference itself, and every score that both have of a metric with a skill score; NaN where the reference's is 0.
    """

    def gain(own, other):
        if isinstance(own, Sequence):
            return [gain(a, b) for a, b in zip(own, other)]
        return 1 - own / other if other else math.nan

    gains: dict[str, dict] = {}
    for model, scores in results.items():
        if model in REFERENCES:
            continue
        for reference in (r for r in REFERENCES if r in results):
            shared = {
                name: gain(value, results[reference][name])
                for name, value in scores.items()
                if name in results[reference] and _skill(name)
            }
            if shared:
                gains.setdefault(model, {})[reference] = shared
    return gains


_MOST_COLUMNS = 30  # that can still be read


def format_table(results: Mapping[str, Scores], units: str | Mapping[str, str | None] | None = None) -> str:
    """The overall scores as aligned text, a row per forecast, with a row of units where they are known (as in
    :func:`write_metrics`), and under them the skill.

    >>> print(format_table({"model": {"mse": 1.5, "mse_by_lead": [1.0, 2.0]}, "persistence": {"mse": 3.0}}))
    forecast     mse
    model        1.5
    persistence    3
    skill of model: 0.500 against persistence (1 - mse / mse_reference)
    """
    names = list(dict.fromkeys(name for scores in results.values() for name in scores if not name.endswith(_BY_LEAD)))
    if left_out := len(names) > _MOST_COLUMNS:  # those of single levels
        names = [name for name in names if name.rpartition("_")[0] not in names or "_" not in name.rpartition("_")[0]]
    if len(names) > _MOST_COLUMNS:  # those of single channels
        names = [name for name in names if _is_whole(name)]
    cells = [["forecast", *names]]
    if units:
        cells.append(["", *(score_unit(name, units) for name in names)])
    cells += [
        [model, *(f"{scores[name]:.5g}" if name in scores else "-" for name in names)]
        for model, scores in results.items()
    ]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = [
        "  ".join([row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])])
        for row in cells
    ]
    for model, by_reference in skill(results).items():
        for name in filter(_is_whole, names):
            parts = [f"{v[name]:.3f} against {reference}" for reference, v in by_reference.items() if name in v]
            if parts:
                lines.append(f"skill of {model}: {', '.join(parts)} (1 - {name} / {name}_reference)")
    if left_out:
        lines.append("scores by channel: metrics.csv")
    return "\n".join(lines)


def _is_whole(score: str) -> bool:
    """Whether it is over all channels."""
    return score.partition("_")[2] in ("", NORMALISED)


def _skill(score: str) -> str:
    """The name of the skill score that belongs to ``score``; empty where there is none."""
    metric = find_metric(score)
    return metric.skill if metric else ""


def score_unit(score: str, units: str | Mapping[str, str | None] | None) -> str:
    """``score`` as ``mse_u``: the unit of mse, with that of the data or of u in it."""
    metric = find_metric(score)
    of = score.partition("_")[2]
    units = None if of == NORMALISED else units.get(of) if isinstance(units, Mapping) else units
    if metric is None or metric.unit or not metric.unit_power or not units:
        return metric.unit if metric else ""
    power = metric.unit_power
    return units if power == 1 else f"({units})^{power}" if " " in units else f"{units}^{power}"


def _json_safe(value):
    """JSON has no infinity and no NaN: null stands for them. The CSV keeps them."""
    if isinstance(value, Mapping):
        return {key: _json_safe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_safe(item) for item in value]
    return value if not isinstance(value, float) or math.isfinite(value) else None
