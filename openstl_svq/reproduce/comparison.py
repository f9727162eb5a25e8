"""Results beside the paper's: improvement over the baseline, its interval over seeds, and whether the signs agree."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..benchmarks.tables import Table
from ..files import write_text
from ..metrics import find_metric
from ..statistics import mean_interval, with_interval, with_spread
from .plan import Plan

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "group",
    "row",
    "variant",
    "metric",
    "mean",
    "std",
    "seeds",
    "paper",
    "improvement",
    "low",
    "high",
    "pairs",
    "paper_improvement",
    "sign_agrees",
)


HIGHER_IS_BETTER = {"perplexity", "perplexity_2", "perplexity_3", "fps"}  # Table 13
WITHOUT_DIRECTION = {"kurtosis"}


def higher_is_better(plan: Plan) -> set[str]:
    """Those of the plan's metrics of which more is better."""
    scores = {m for m in plan.metrics if (found := find_metric(m)) is not None and not found.lower_is_better}
    return scores | (HIGHER_IS_BETTER & set(plan.metrics))


def compare(plan: Plan, results: pd.DataFrame, paper: pd.DataFrame, better: Iterable[str]) -> pd.DataFrame:
    """The table of ``plan``: a row for each cell and metric, with :data:`COLUMNS`.

    An improvement is the change against the baseline in per cent of the baseline, positive where it is for the better;
    with several seeds the mean over the seeds that both have, with Student's 95 % interval (``low``, ``high``).
    What was not run is missing, never taken from elsewhere.

    Args:
        results: ``group, row, variant, metric, seed, value`` of finished runs.
        paper: as :func:`.published` gives it.
        better: names of the metrics of which more is better; :func:`higher_is_better`.
    """
    import pandas as pd

    better = set(better)
    found = {
        place: values.set_index("seed")["value"]
        for place, values in results.groupby(["group", "row", "variant", "metric"], sort=False)
    }
    printed = paper.set_index(["group", "row", "variant", "metric"])["value"].to_dict()
    rows = []
    for cell in plan.cells:
        partner = plan.partner(cell)
        for metric in plan.metrics:
            sign = 1 if metric in better else -1
            place = (*cell.place, metric)
            values = found.get(place, pd.Series(dtype=float))
            row = dict(zip(COLUMNS, place)) | {"seeds": len(values), "paper": printed.get(place)}
            if len(values):
                row |= {"mean": values.mean(), "std": values.std() if len(values) > 1 else None}
            if partner is not None and metric not in WITHOUT_DIRECTION:
                other = (*partner.place, metric)
                base = found.get(other, pd.Series(dtype=float))
                gains = (sign * 100 * (values - base) / base.abs()).dropna()
                if len(gains):
                    mean, half = mean_interval(gains.tolist())
                    row |= {"improvement": mean, "low": mean - half, "high": mean + half, "pairs": len(gains)}
                if place in printed and printed.get(other):
                    row["paper_improvement"] = sign * 100 * (printed[place] - printed[other]) / abs(printed[other])
                if {"improvement", "paper_improvement"} <= row.keys():
                    row["sign_agrees"] = (row["improvement"] > 0) == (row["paper_improvement"] > 0)
            rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def write(plan: Plan, comparison: pd.DataFrame, folder: Path, scale: str) -> str:
    """Writes ``table.md``, ``table.csv`` (all digits) and ``table.tex`` to ``folder``; returns the Markdown."""
    shown = comparison.assign(
        here=[with_spread(row.mean, row.std) for row in comparison.itertuples()],
        change=[with_interval(row.improvement, row.low, row.high) for row in comparison.itertuples()],
        sign=["" if _empty(value) else "yes" if value else "no" for value in comparison["sign_agrees"]],
    )
    columns = {
        "group": "data",
        "row": "row",
        "variant": "",
        "metric": "metric",
        "here": "here",
        "seeds": "seeds",
        "paper": ("paper", ".5g"),
        "change": "improvement here, %",
        "paper_improvement": ("in the paper, %", "+.1f"),
        "sign": "same sign",
    }
    if not shown["variant"].any():
        del columns["variant"]
    if not plan.baseline:
        columns = {
            key: head for key, head in columns.items() if key in ("group", "row", "variant", "metric", "here", "seeds")
        }
    against = ", ".join(f"{key} {value}" for key, value in plan.baseline.items())
    notes = [
        *(
            ["Scale: sample: small models on sample data; these numbers test the machinery alone."]
            * (scale == "sample")
        ),
        *(["Scale: paper."] * (scale == "paper" and not plan.counted)),
        "Here: mean over seeds ± standard deviation; a dash is what was not run.",
        *(_UNITS[metric] for metric in plan.metrics if metric in _UNITS),
        *(["Recurrent methods are counted as OpenSTL counts them, in a training pass."] * plan.counted),
        *_unpaired(plan, comparison),
        *(
            [
                f"Improvement: against {against}, paired by seed, positive for the better; in brackets Student's 95 % "
                "interval."
            ]
            if plan.baseline
            else []
        ),
        'Paper: "A Differentiable Sparse Vector Quantization (SVQ) for Spatio-Temporal Forecasting".',
    ]
    table = Table(columns, shown.to_dict("records"), str(plan), notes)
    heads = [c if isinstance(c, str) else c[0] for c in columns.values()]
    latex = (
        shown[list(columns)]
        .set_axis(heads, axis=1)
        .to_latex(index=False, escape=True, na_rep="--", float_format="%.4g", caption=f"{plan.title} ({scale} scale)")
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("table.md", table.markdown() + "\n"),
        ("table.csv", comparison.to_csv(index=False)),
        ("table.tex", latex),
    ):
        write_text(folder / name, text)
    return table.markdown()


_UNITS = {
    "params_m": "params_m: parameters, millions.",
    "flops_g": "flops_g: multiply-adds of one forecast, thousand millions; the paper counts SVQ in its reference form.",
    "fps": "fps: forecasts a second, one at a time, on this machine's CPU.",
    "minutes_per_epoch": "minutes_per_epoch: of training on this machine, validation included.",
    "perplexity": "perplexity, kurtosis: mean over the last epoch of training.",
    "kurtosis": "kurtosis: excess kurtosis of the regression weights, mean over the last epoch of training.",
}


def _unpaired(plan: Plan, comparison: pd.DataFrame) -> list[str]:
    """A note that names the rows of which the baseline lacks seeds, or that lack some of the baseline's."""
    found = {(row.group, row.row, row.variant, row.metric): row for row in comparison.itertuples()}
    lacking = set()
    for cell in plan.cells:
        if (partner := plan.partner(cell)) is None:
            continue
        for metric in plan.metrics:
            ours, theirs = found[(*cell.place, metric)], found[(*partner.place, metric)]
            label = " ".join(filter(None, (cell.row, cell.variant)))
            if ours.seeds and not theirs.seeds:
                lacking.add(f"{label} (its baseline was not run)")
            elif not _empty(ours.pairs) and ours.pairs < (most := max(ours.seeds, theirs.seeds)):
                lacking.add(f"{label} ({int(ours.pairs)} of {most} seeds paired)")
    return [f"Seeds are missing in a pair: {', '.join(sorted(lacking))}."] if lacking else []


def _empty(value) -> bool:
    """Whether a cell is empty: None or NaN."""
    return value is None or value != value
