"""The page about one run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import config as configuration
from .. import protocol
from ..benchmarks.tables import Table
from ..config_file import load_config
from ..figures import list_figures
from ..figures.scores import plot_lead_times
from ..figures.style import png, unit_text, with_unit
from ..metrics import headline_metrics, lower_is_better
from ..metrics.report import score_unit, skill
from ..sweep.results import COSTS
from .page import Page, Picture, Section, costs, pairs, pictures_of, size

_BY_LEAD = "_by_lead"
_HEAD_SCORES = 12  # rows of the first table; more are folded up
_PLACES = ("res_dir", "ex_name", "config_file", "resume", "test", "ckpt_path")


def page_of_run(folder: Path) -> Page:
    """What the folder of a run says; one that has not been tested has no scores yet."""
    text = (folder / "config.py").read_text(encoding="utf-8")
    config = {**configuration.defaults(), **load_config(folder / "config.py")}
    try:
        record = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        record = {}
    provenance = record.get("provenance") or {}
    name = folder.resolve().name
    figures = sorted((folder / "figures").glob("*.png"))
    return Page(
        f"{config['method']} on {config['dataname']}: {name}",
        _summary(config, record),
        [
            _what(config, provenance, text),
            _scores(record),
            Section(
                "Pictures",
                pictures=pictures_of([folder / "forecast.png", folder / "training.png", *figures], list_figures()),
            ),
            configuration_section(config, text),
            Section("Costs", tables=[pairs({**costs(provenance), "disk": size(on_disk(folder))})]),
            Section("Provenance", tables=[pairs(_made_with(provenance))]),
        ],
    )


def _made_with(provenance: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in provenance.items() if key not in COSTS}
    if found.get("checkpoint"):
        found["checkpoint"] = Path(found["checkpoint"]).name
    return found


def on_disk(folder: Path) -> int:
    """Bytes of all files in ``folder``."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def frames(config: Mapping[str, Any]) -> str:
    """What is forecast from what."""
    channels, height, width = config["in_shape"][1:]
    many = f", {channels} channels" if channels > 1 else ""
    return (
        f"{config['aft_seq_length']} frames from the {config['pre_seq_length']} before, {height} x {width} points{many}"
    )


def _summary(config: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    scores = record.get("scores") or {}
    model = scores.get("model") or {}
    name = next((n for n in headline_metrics() if isinstance(model.get(n), float)), None)
    if name is None:
        return f"{frames(config)}. Not tested yet."
    unit = unit_text(score_unit(name, record.get("units")))
    others = [f"{of[name]:.4g} of {who}" for who, of in scores.items() if who != "model" and of.get(name) is not None]
    against = f", against {' and '.join(others)}" if others else ""
    return (
        f"{frames(config)}. Test {name.upper()} {model[name]:.4g} {unit}".rstrip()
        + f"{against}; seed {config['seed']}."
    )


def _what(config: Mapping[str, Any], provenance: Mapping[str, Any], text: str) -> Section:
    first = text.partition("\n")[0]
    command = first.removeprefix("# command: ") if first.startswith("# command: ") else ""
    program, _, words = command.partition(" ")
    if Path(program).suffix == ".py":  # where this machine has it is nobody's matter
        command = f"python tools/{Path(program).name} {words}"
    quantizer = config.get("quantizer") if config.get("quant_position", "none") != "none" else None
    return Section(
        "What was run",
        tables=[
            pairs(
                {
                    "data": config["dataname"],
                    "forecast": frames(config),
                    "method": config["method"],
                    "translator": config.get("model_type"),
                    "quantizer": f"{quantizer}, {config['quant_position']} the translator" if quantizer else "none",
                    "protocol": f"{config['protocol']}: {protocol.describe(config['protocol'])}",
                    "finished": provenance.get("date"),
                    "command": command,
                }
            )
        ],
    )


def _scores(record: Mapping[str, Any]) -> Section:
    scores, units = record.get("scores") or {}, record.get("units")
    if not scores:
        return Section("Scores", ["None yet: the run has not been tested."])
    whole = {who: {k: v for k, v in of.items() if not k.endswith(_BY_LEAD)} for who, of in scores.items()}
    names = list(dict.fromkeys(name for of in whole.values() for name in of))
    gains = skill(scores).get("model", {})
    columns: dict = {"score": "score", "unit": "unit"} | {who: (who, ".5g") for who in whole}
    columns |= {f"skill {reference}": (f"skill against {reference}", ".3f") for reference in gains}
    rows = [
        {"score": name, "unit": unit_text(score_unit(name, units))}
        | {who: of.get(name) for who, of in whole.items()}
        | {f"skill {reference}": by_name.get(name) for reference, by_name in gains.items()}
        for name in names
    ]
    columns = {key: head for key, head in columns.items() if any(row.get(key) not in (None, "") for row in rows)}
    first = [row for row in rows if "_" not in row["score"]] if len(rows) > _HEAD_SCORES else rows
    better = [f"{n} is better {'lower' if lower_is_better(n) else 'higher'}" for n in (r["score"] for r in first)]
    notes = [f"Means over all windows and lead times of the test set; {', '.join(better)}."]
    if gains:
        notes.append("Skill: 1 - score / score of the reference.")
    notes.append("One run has no interval: a sweep over seeds gives one (tools/sweep.py --seed 0 1 2).")
    tables = [Table(columns, first, notes=notes)]
    if len(first) < len(rows):
        tables.append(Table(columns, rows, f"All {len(rows)} scores, by variable and level"))
    return Section("Scores", tables=tables, pictures=_by_lead(scores, units))


def _by_lead(scores: Mapping[str, Mapping[str, Any]], units: Any) -> list[Picture]:
    panels: dict[str, dict[str, Sequence[float]]] = {}
    for name in headline_metrics():
        by_name = {who: of[name + _BY_LEAD] for who, of in scores.items() if name + _BY_LEAD in of}
        # A score that is not finite is null in the file.
        found = {who: [float("nan") if v is None else v for v in of] for who, of in by_name.items()}
        if any(len(of) > 1 and any(v == v for v in of) for of in found.values()):
            panels[with_unit(name, score_unit(name, units))] = found
    return (
        [Picture(png(plot_lead_times(panels)), "Scores by forecast frame, beside the reference forecasts")]
        if panels
        else []
    )


def configuration_section(config: Mapping[str, Any], text: str) -> Section:
    """What is not the default, and folded up all of it."""
    known = configuration.defaults()
    changed = {k: v for k, v in config.items() if k not in _PLACES and (k not in known or known[k] != v)}
    return Section(
        "Configuration",
        ["Settings that are not the command line's defaults; -c takes the run's config.py as it is."],
        [pairs({k: repr(v) for k, v in sorted(changed.items())})],
        listing="".join(line for line in text.splitlines(keepends=True) if not line.startswith("#")),
    )
