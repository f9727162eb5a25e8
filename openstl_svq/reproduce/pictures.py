"""The paper's figures from the runs of their plans, by the functions of ``tools/analyse.py``."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ..figures import draw_figures
from ..figures.trained_run import TrainedRun
from ..sweep import scores
from .plan import Cell, Plan
from .runs import PlannedRun


def draw(plan: Plan, planned: Sequence[PlannedRun], folder: Path, say: Callable[[str], None] = print) -> list[Path]:
    """Draws ``plan`` from its finished runs with the first seed; what has not been run is said, and left out.

    Returns:
        The pictures' paths, in ``folder/figures``.
    """
    runs = []
    for p in planned:
        if p.seed != planned[0].seed:
            continue
        if scores(folder / p.run.name) is None:
            say(f"{_label(plan, p.cells[0])}: left out: it has not been run")
            continue
        run = TrainedRun(folder / p.run.name, data_root=p.run.config["data_root"])
        run.name = _label(plan, p.cells[0])
        runs.append(run)
    drawn: list[Path] = []
    for name in plan.figures if runs else ():
        try:
            drawn += draw_figures(runs, [name], folder / "figures", say)
        except ValueError as error:  # the runs, the table and the report are there all the same
            say(f"{name}: left out: {error}")
    return drawn


def _label(plan: Plan, cell: Cell) -> str:
    """What tells a cell from the plan's others."""
    places = zip(*(c.place for c in plan.cells))
    parts = [part for part, values in zip(cell.place, places) if part and len(set(values)) > 1]
    return ", ".join(parts or [cell.row])
