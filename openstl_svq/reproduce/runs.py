"""The runs of a plan: at the paper's scale or at a sample's, what they need and what they take, and their results."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import config as configuration
from ..config_file import load_config
from ..data import get_dataset, load_data
from ..figures.curves import training_curves
from ..methods import get_method
from ..sweep import Run, build_models, scores
from .plan import CONFIGS, Cell, Plan

if TYPE_CHECKING:
    import pandas as pd

SCALES = ("paper", "sample")
_LONG = 10.0  # seconds: a step that takes them is not timed again


@dataclass(frozen=True)
class PlannedRun:
    """One run of a sweep, and the cells of the table that its scores fill."""

    run: Run
    cells: list[Cell]
    seed: int


def sample_settings(folder: Path = CONFIGS / "paper") -> dict[str, Any]:
    """What ``--scale sample`` changes: ``datasets`` (name -> name) and ``options`` (key -> value)."""
    return load_config(folder / "_sample_.py")


def plan_runs(
    plan: Plan,
    seeds: Sequence[int],
    folder: Path,
    *,
    scale: str = "paper",
    words: Sequence[str] = (),
    options: Sequence[str] = (),
) -> list[PlannedRun]:
    """The runs that fill ``plan``, seed by seed; cells of one configuration and dataset share theirs.

    Args:
        folder: of the sweep, in which each run has its own.
        scale: ``paper``, or ``sample``: small models, few epochs, sample data.
        words, options: further words for ``tools/train.py`` and for its ``--cfg_options``, the same for all runs.

    Raises:
        ValueError: a configuration that cannot be resolved, or whose model cannot be built.
    """
    sample = sample_settings() if scale == "sample" else {"datasets": {}, "options": {}}
    chosen = plan.cells
    if scale == "sample" and plan.sample:
        chosen = [cell for cell in plan.cells if cell.variant in plan.sample]
    planned = []
    for seed in seeds:
        for (dataset, config, changes), cells in _by_run(chosen).items():
            used = sample["datasets"].get(dataset, dataset)
            known = {*configuration.defaults(), *(get_method(load_config(config)["method"]).keys or ())}
            pairs = [f"{key}={value!r}" for key, value in sample["options"].items() if key in known]
            given = ["-d", used, "-c", str(config), "--seed", str(seed), *words]
            given += ["--fps"] * ("fps" in plan.metrics)
            if pairs or changes or options:
                given += ["--cfg_options", *pairs, *changes, *options]
            slugs = [re.sub(r"[^\w.]+", "-", change.rpartition(".")[2]).strip("-") for change in changes]
            name = "_".join((dataset, *config.relative_to(CONFIGS).with_suffix("").parts[-2:], *slugs, f"seed-{seed}"))
            resolved = vars(configuration.resolve(given))
            given += ["--res_dir", str(folder), "--ex_name", name]
            settings = {"dataset": dataset, "config_file": config.stem, "seed": seed}
            planned.append(PlannedRun(Run(name, settings, given, resolved), cells, seed))
    build_models([p.run for p in planned])
    return planned


def _by_run(cells: Iterable[Cell]) -> dict[tuple[str, Path, tuple[str, ...]], list[Cell]]:
    groups: dict[tuple[str, Path, tuple[str, ...]], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.dataset, cell.config, cell.options), []).append(cell)
    return groups


def missing_data(planned: Sequence[PlannedRun]) -> dict[str, str]:
    """Dataset -> why it cannot be loaded, of all that the runs need; what is loaded is decoded for the runs to come."""
    missing = {}
    for config in {p.run.config["dataname"]: p.run.config for p in planned}.values():
        try:
            load_data(**config)
        except (FileNotFoundError, ValueError) as error:
            missing[config["dataname"]] = str(error)
    return missing


def how_to_get(missing: Mapping[str, str], data_root: Path) -> str:
    """The message about data that are not there, all of them, with what would make each."""
    lines = []
    for name, why in missing.items():
        lines.append(f"  {name}: {why}")
        if get_dataset(name).makers:
            lines.append(f"    a small synthetic one: python tools/make_sample_data.py -d {name} --out {data_root}")
    return "data are not there:\n" + "\n".join(lines)


def make_data(names: Iterable[str], data_root: Path, say: Callable[[str], None]) -> None:
    """Makes small synthetic sets of the datasets ``names``."""
    for name in names:
        say(f"making a small synthetic {name} in {data_root}")
        next(iter(get_dataset(name).makers.values()))(data_root, seed=0)


def results(planned: Sequence[PlannedRun], folder: Path) -> pd.DataFrame:
    """What the finished runs say: ``group, row, variant, metric, seed, value``; what was not run is not there."""
    import pandas as pd

    rows = []
    for p in planned:
        found = measured(p.run, folder)
        for cell in p.cells:
            rows += [
                (*cell.place, metric, p.seed, found[name]) for metric, name in cell.metrics.items() if name in found
            ]
    return pd.DataFrame(rows, columns=["group", "row", "variant", "metric", "seed", "value"])


def measured(run: Run, folder: Path) -> dict[str, float]:
    """Scores of a finished run, and under the tables' names what it cost and how it used its codebook."""
    place = folder / run.name
    if (found := scores(place)) is None:
        return {}
    about = json.loads((place / "metrics.json").read_text(encoding="utf-8")).get("provenance") or {}
    curves = training_curves(place)
    found |= {
        name: float(curves[key][1][-1])
        for name, key in {
            "perplexity": "perplexity",
            "perplexity_2": "perplexity theta2",
            "perplexity_3": "perplexity theta3",
            "kurtosis": "kurtosis",
        }.items()
        if key in curves
    }
    if "flops" in about:
        found["flops_g"] = about["flops"] / 1e9
    if "parameters" in about:
        found["params_m"] = about["parameters"] / 1e6
    if "frames_per_second" in about:
        found["fps"] = about["frames_per_second"] / run.config["aft_seq_length"]
    if "train_seconds" in about and "validation loss" in curves:
        found["minutes_per_epoch"] = about["train_seconds"] / 60 / len(curves["validation loss"][0])
    return found


@dataclass(frozen=True)
class Cost:
    """What one run takes.

    Attributes:
        seconds: of a training step on this machine.
        steps: of all epochs on the full dataset, which early stopping may cut short; ``None`` where its size is not
            known.
        disk: bytes of its two checkpoints.
    """

    seconds: float
    steps: int | None
    disk: int

    @property
    def hours(self) -> float | None:
        """Of training."""
        return None if self.steps is None else self.seconds * self.steps / 3600


def cost(run: Run) -> Cost:
    """Times a training step of ``run``: forward, loss, backward and Adam.

    The second of two, or the first if that one has taken long. On a CPU it is one sample's processor time, which other
    programs do not lengthen, shared among torch's threads and times the batch size.
    """
    import torch

    from ..timing import CLOCKS, synchronize

    config = run.config
    record = get_method(config["method"])
    method = record.cls(steps_per_epoch=1, test_mean=0.0, test_std=1.0, save_dir=".", **config)
    device = "cuda" if torch.cuda.is_available() and config.get("accelerator") != "cpu" else "cpu"
    method = method.to(device).train()
    optimizer = torch.optim.Adam([p for p in method.parameters() if p.requires_grad])
    steps_in, *frame = config["in_shape"]
    batch = config["batch_size"] if device == "cuda" else 1
    x = torch.randn(batch, steps_in, *frame, device=device)
    y = torch.randn(batch, config["aft_seq_length"], *frame, device=device)
    clock, threads = (CLOCKS["wall"], 1) if device == "cuda" else (CLOCKS["processor"], torch.get_num_threads())
    seconds = 0.0
    for _ in range(2):
        begin = clock()
        method.criterion(method(x, y), y).backward()
        optimizer.step()
        optimizer.zero_grad()
        synchronize(device)
        taken = (clock() - begin) / threads
        seconds = taken * config["batch_size"] / batch
        if taken > _LONG:
            break
    sizes = get_dataset(config["dataname"]).full_sizes
    steps = sizes[0] // config["batch_size"] * config["epoch"] if sizes else None
    disk = 2 * 3 * sum(p.numel() * p.element_size() for p in method.parameters())  # each with Adam's two averages
    return Cost(seconds, steps, disk)
