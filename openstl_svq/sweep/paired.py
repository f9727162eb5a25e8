"""Runs against their partners of the same seed: the arms of a study, and two sweeps; intervals for several comparisons."""

from collections.abc import Mapping, Sequence

from ..benchmarks.tables import Table
from ..metrics import headline_metrics, lower_is_better
from ..naming import choose
from ..statistics import mean_interval, with_interval
from .results import PROVENANCE, axes_of, finished, scores_of

LEAST_PAIRS = 3  # fewer give no verdict
SCORES = ("mse", "mae")


def compare(rows: Sequence[Mapping], references: Mapping[str, str], alpha: float = 0.05) -> Table:
    """Every arm against its reference: mean scores, paired relative differences in per cent, and a verdict.

    Intervals are Student's at the level 1 - alpha / m, m the number of arms compared (Bonferroni). An arm *helps* if
    the intervals of MSE and MAE both lie below 0, *harms* if both lie above; with fewer than three pairs nothing is
    decided.

    Args:
        rows: with ``arm``, ``seed``, ``mse`` and ``mae`` each, or ``mse_normalised`` and ``mae_normalised`` where
            variables have different units, as :func:`openstl_svq.sweep.results.arms` gives them.
        references: arm -> the arm it is compared with; itself or none where it is compared with nothing.
        alpha: chance of one wrong verdict or more among all, if nothing differed.

    Raises:
        ValueError: an unknown arm, or the same arm and seed twice.
    """
    scores: dict[str, dict[int, dict[str, float]]] = {}
    for row in rows:
        runs = scores.setdefault(row["arm"], {})
        if int(row["seed"]) in runs:
            raise ValueError(f"arm {row['arm']!r} has seed {row['seed']} twice.")
        runs[int(row["seed"])] = {name: _score(row, name) for name in SCORES}
    references = {arm: references.get(arm, arm) for arm in scores}
    for arm in references.values():
        choose("arm", arm, scores)
    confidence = 1 - alpha / max(1, sum(arm != against for arm, against in references.items()))
    table = []
    for arm, runs in scores.items():
        against = references[arm]
        row: dict = {"arm": arm, "runs": len(runs), "against": against if arm != against else None}
        row |= {f"{name}_mean": mean_interval([run[name] for run in runs.values()])[0] for name in SCORES}
        pairs = [(runs[seed], scores[against][seed]) for seed in runs.keys() & scores[against].keys()]
        if arm != against and pairs:
            row["pairs"] = len(pairs)
            for name in SCORES:
                mean, half = mean_interval(
                    [100 * (ours[name] / theirs[name] - 1) for ours, theirs in pairs], confidence
                )
                row |= {f"{name}_percent": mean, f"{name}_low": mean - half, f"{name}_high": mean + half}
            row["verdict"] = _verdict(row)
        table.append(row)
    columns: dict = {"arm": "arm", "runs": "runs", "against": "against"}
    for name in SCORES:
        columns |= {f"{name}_mean": (f"{name.upper()}", ".4g"), f"{name}_text": f"difference in {name.upper()}, %"}
        for row in table:
            if f"{name}_percent" in row:
                low, high = (row[f"{name}_{k}"] if row["pairs"] >= LEAST_PAIRS else None for k in ("low", "high"))
                row[f"{name}_text"] = with_interval(row[f"{name}_percent"], low, high)
    note = f"Differences are paired by seed; in brackets Student's interval at {100 * confidence:.2f} % (Bonferroni)."
    return Table(columns | {"verdict": "verdict"}, table, notes=[note])


def rise(rows: Sequence[Mapping], others: Sequence[str], axis: str) -> list[dict]:
    """The rows beyond the least value of ``axis``, their scores divided by those of the row there.

    Args:
        rows: as for :func:`compare`, with a column for each axis.
        others: the other axes, the seed aside: a row and its base agree in them and in the seed.
        axis: one with numbers as values, such as ``noise_ratio``.

    Raises:
        ValueError: an unknown axis, values that are no numbers, or a row without a base.
    """
    if not all(axis in row for row in rows):
        raise ValueError(f"not every row has a value of {axis!r}: give an axis of the sweep.")
    try:
        values = [float(row[axis]) for row in rows]
    except ValueError as error:
        raise ValueError(
            f"the values of {axis!r} must be numbers, got {sorted({row[axis] for row in rows})}."
        ) from error
    least = min(values)
    shared = [*others, "seed"]
    bases = {_values(row, shared): row for row, value in zip(rows, values) if value == least}
    risen = []
    for row, value in zip(rows, values):
        if value == least:
            continue
        if (base := bases.get(_values(row, shared))) is None:
            raise ValueError(f"arm {row['arm']!r} has no run with seed {row['seed']} at {axis}={least:g}.")
        risen.append({**row} | {name: _score(row, name) / _score(base, name) for name in SCORES})
    return risen


def _score(row: Mapping, name: str) -> float:
    return float(row[name] if name in row else row[f"{name}_normalised"])


def _values(row: Mapping, axes: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(row.get(axis, "")) for axis in axes)


def compare_sweeps(a: Table, b: Table, metrics: Sequence[str] | None = None, alpha: float = 0.05) -> Table:
    """Whether sweep ``b`` scores otherwise than sweep ``a``: runs with the same axes and seed are pairs.

    A row for each setting and score: the means of the runs that have a partner, the mean difference (b - a), and
    Student's interval around it at the level 1 - alpha / m, m the number of intervals (Bonferroni). With fewer than three
    pairs nothing is decided, unless all are equal. The first note is the answer; others name the runs without a partner
    and what the sweeps were run with where that differs.

    Args:
        a, b: as :func:`openstl_svq.sweep.results.read` gives them.
        metrics: names of scores (default: mse, mae, ssim, ... of those that both have).
        alpha: chance of one wrong difference or more among all, if nothing differed.

    Raises:
        ValueError: axes that do not fit, no pair, a run that is there twice, a score that one of them lacks.
    """
    for name, table in (("A", a), ("B", b)):
        if not finished(table):
            raise ValueError(f"{name} has no finished run.")
    axes = _shared_axes(a, b)
    shared = [name for name in scores_of(a) if name in scores_of(b)]
    if not shared:
        raise ValueError(f"no score is in both: A has {', '.join(scores_of(a))}, B has {', '.join(scores_of(b))}.")
    for name in metrics or ():
        choose("score", name, shared)
    metrics = list(metrics or headline_metrics(shared) or shared)
    runs = [_by_axes(table, axes, name) for table, name in ((a, "A"), (b, "B"))]
    pairs = [(key, runs[0][key], runs[1][key]) for key in runs[0] if key in runs[1]]
    if not pairs:
        raise ValueError(
            f"no run of A has a partner in B with the same {', '.join(axes)}: A begins with "
            f"{_named(axes, next(iter(runs[0])))}, B with {_named(axes, next(iter(runs[1])))}."
        )
    others = [axis for axis in axes if axis != "seed"]
    groups: dict[tuple, list[tuple[dict, dict]]] = {}
    for key, ours, theirs in pairs:
        groups.setdefault(tuple(v for axis, v in zip(axes, key) if axis != "seed"), []).append((ours, theirs))
    rows = []
    for key, members in groups.items():
        for name in metrics:
            values = [(m[0][name], m[1][name]) for m in members if name in m[0] and name in m[1]]
            if values:
                rows.append({**dict(zip(others, key)), "score": name, "pairs": len(values), "values": values})
    confidence = 1 - alpha / max(1, sum(row["pairs"] >= LEAST_PAIRS for row in rows))
    for row in rows:
        row |= _difference(row["score"], row.pop("values"), confidence)
    return Table(
        {axis: axis for axis in others}
        | {"score": "score", "pairs": "pairs", "a": ("A", ".4g"), "b": ("B", ".4g"), "text": "B \N{MINUS SIGN} A"}
        | {"percent": ("%", "+.1f"), "verdict": "verdict"},
        rows,
        notes=[
            _answer(rows),
            f"Differences are paired by {', '.join(axes)}; in brackets Student's interval at {100 * confidence:.2f} % "
            "(Bonferroni).",
            *_without_partner(axes, runs),
            *_other_provenance(pairs),
        ],
    )


def _shared_axes(a: Table, b: Table) -> list[str]:
    """Axes of both; one that a single sweep has must have one value there."""
    shared = [axis for axis in axes_of(a) if axis in axes_of(b)]
    for name, table in (("A", a), ("B", b)):
        for axis in axes_of(table):
            values = sorted({str(row.get(axis)) for row in finished(table)})
            if axis not in shared and len(values) > 1:
                raise ValueError(
                    f"{name} has the axis {axis} ({', '.join(values)}) and the other has not: leave one of its values in "
                    "the file, or compare sweeps over the same axes."
                )
    if not shared:
        raise ValueError(f"no axis is in both: A has {', '.join(axes_of(a))}, B has {', '.join(axes_of(b))}.")
    return shared


def _by_axes(table: Table, axes: Sequence[str], name: str) -> dict[tuple[str, ...], dict]:
    runs: dict[tuple[str, ...], dict] = {}
    for row in finished(table):
        key = _values(row, axes)
        if key in runs:
            raise ValueError(f"{name} has {_named(axes, key)} twice ({runs[key]['run']} and {row['run']}).")
        runs[key] = row
    return runs


def _named(axes: Sequence[str], key: Sequence[str]) -> str:
    return ", ".join(f"{axis}={value}" for axis, value in zip(axes, key))


def _difference(score: str, values: Sequence[tuple[float, float]], confidence: float) -> dict:
    """Means, difference with interval, and verdict of pairs ``(a, b)``."""
    mean, half = mean_interval([theirs - ours for ours, theirs in values], confidence)
    a, b = (sum(column) / len(values) for column in zip(*values))
    decided = len(values) >= LEAST_PAIRS
    low, high = (mean - half, mean + half) if decided else (None, None)
    if all(ours == theirs for ours, theirs in values):
        verdict = "equal"
    elif not decided:
        verdict = f"fewer than {LEAST_PAIRS} pairs"
    elif low is not None and high is not None and low <= 0 <= high:
        verdict = "no difference seen"
    else:
        verdict = "B is better" if (mean < 0) == lower_is_better(score) else "B is worse"
    percent = 100 * mean / abs(a) if a else None
    found = {"a": a, "b": b, "difference": mean, "low": low, "high": high, "percent": percent, "verdict": verdict}
    return found | {"text": with_interval(mean, low, high, "+.3g")}


def _answer(rows: Sequence[Mapping]) -> str:
    differing = [row for row in rows if row["verdict"].startswith("B is")]
    undecided = sum(row["verdict"].startswith("fewer") for row in rows)
    if all(row["verdict"] == "equal" for row in rows):
        return "The sweeps are equal: every pair has the same scores to the last digit."
    if differing:
        return f"The sweeps differ: in {len(differing)} of {len(rows)} comparisons."
    if undecided == len(rows):
        return f"Not decided: no comparison has {LEAST_PAIRS} pairs or more."
    rest = f" ({undecided} not decided)" if undecided else ""
    return f"No difference is seen in {len(rows)} comparisons{rest}."


def _without_partner(axes: Sequence[str], runs: Sequence[Mapping[tuple, dict]]) -> list[str]:
    notes = []
    for name, own, other in (("A", runs[0], runs[1]), ("B", runs[1], runs[0])):
        if alone := [_named(axes, key) for key in own if key not in other]:
            notes.append(f"Only {name} has: {'; '.join(alone)}.")
    return notes


def _other_provenance(pairs: Sequence[tuple[tuple, dict, dict]]) -> list[str]:
    notes = []
    for key in PROVENANCE:
        differing = sum(a.get(key) != b.get(key) for _, a, b in pairs)
        if key == "date" or not differing:
            continue
        if key == "configuration":
            notes.append(f"{differing} of {len(pairs)} pairs have other settings besides the axes.")
            continue
        here, there = (", ".join(sorted({str(pair[i].get(key, "not known")) for pair in pairs})) for i in (1, 2))
        notes.append(f"{key}: {here} in A, {there} in B ({differing} of {len(pairs)} pairs).")
    return notes


def _verdict(row: Mapping) -> str:
    if row["pairs"] < LEAST_PAIRS:
        return "too few runs"
    # Bounds of the change for the worse: a score that is better higher has them the other way round.
    worse = [
        (row[f"{name}_low"], row[f"{name}_high"])
        if lower_is_better(name)
        else (-row[f"{name}_high"], -row[f"{name}_low"])
        for name in SCORES
    ]
    if all(high < 0 for _, high in worse):
        return "helps"
    return "harms" if all(low > 0 for low, _ in worse) else "undecided"
