"""Arms of a study against their references: rows of its runs, paired differences, intervals for several comparisons."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..benchmarks.tables import Table
from ..figures.curves import training_curves
from ..host import load_config
from ..metrics import lower_is_better
from ..naming import choose
from ..statistics import mean_interval, with_interval

LEAST_PAIRS = 3  # fewer give no verdict
SCORES = ("mse", "mae")
_PROVENANCE = ("dataset", "epochs", "openstl_svq", "torch", "device", "date")


def collect(sweep: Path) -> list[dict]:
    """One row for every finished run in the folder of a sweep over configuration files and seeds, by arm and seed.

    Arm (the configuration file's name) and seed, test scores, the last value of everything that the run logged while it
    trained, and where the numbers come from.

    Raises:
        ValueError: no finished run in the folder.
    """
    rows = []
    for path in sorted(sweep.glob("*/metrics.json")):
        config, saved = load_config(path.parent / "config.py"), json.loads(path.read_text(encoding="utf-8"))
        last = {name.replace(" ", "_"): float(y[-1]) for name, (_, y) in training_curves(path.parent).items()}
        rows.append(
            {"arm": Path(config["config_file"] or config["method"]).stem, "seed": config["seed"]}
            | {name: saved["scores"]["model"][name] for name in SCORES}
            | last
            | {key: saved["provenance"].get(key) for key in _PROVENANCE}
        )
    if not rows:
        raise ValueError(
            f"{sweep} holds no finished run: give the folder of a sweep (RES_DIR/EX_NAME of tools/sweep.py)."
        )
    return rows


def compare(
    rows: Sequence[Mapping], reference: str, references: Mapping[str, str] | None = None, alpha: float = 0.05
) -> Table:
    """Every arm against its reference: mean scores, paired relative differences in per cent, and a verdict.

    Intervals are Student's at the level 1 - alpha / m, m the number of arms compared (Bonferroni). An arm *helps* if
    the intervals of MSE and MAE both lie below 0, *harms* if both lie above; with fewer than three pairs nothing is
    decided.

    Args:
        rows: with ``arm``, ``seed``, ``mse`` and ``mae`` each, as :func:`collect` or a CSV gives them.
        reference: the arm that the others are compared with.
        references: arm -> another reference of its own.
        alpha: chance of one wrong verdict or more among all, if nothing differed.

    Raises:
        ValueError: an unknown arm, or the same arm and seed twice.
    """
    scores: dict[str, dict[int, dict[str, float]]] = {}
    for row in rows:
        runs = scores.setdefault(row["arm"], {})
        if int(row["seed"]) in runs:
            raise ValueError(f"arm {row['arm']!r} has seed {row['seed']} twice.")
        runs[int(row["seed"])] = {name: float(row[name]) for name in SCORES}
    references = {arm: (references or {}).get(arm, reference) for arm in scores}
    for arm in (reference, *references.values()):
        choose("arm", arm, scores)
    confidence = 1 - alpha / max(1, sum(arm != against for arm, against in references.items() if arm != reference))
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
