"""The figures of ``tools/analyse.py``, by name: each takes trained runs and gives one matplotlib figure."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..naming import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..training.experiment import Experiment
    from .trained_run import TrainedRun

_NOT_IN_NAMES = r"[^\w.+-]+"  # a run may be called as a table calls its row
Draw = Callable[[Sequence["TrainedRun"]], "Figure"]


class _Figure(NamedTuple):
    draw: Draw
    several: bool
    needs_run: bool


FIGURES: Registry[_Figure] = Registry("figure", __package__)


def register_figure(
    name: str, description: str, *, several: bool = False, needs_run: bool = True, override: bool = False
) -> Callable[[Draw], Draw]:
    """Decorator that makes a function from trained runs to a matplotlib figure a figure of ``tools/analyse.py``.

    Args:
        description: one line for :func:`list_figures`.
        several: the figure compares runs; else each run gets one of its own.
        needs_run: without a run there is nothing to draw.
        override: take the place of a figure of the same name on purpose.

    Raises:
        ValueError: the name is taken.
    """

    return FIGURES.register(name, description, override=override, record=lambda draw: _Figure(draw, several, needs_run))


def list_figures() -> dict[str, str]:
    """Name -> one-line description of every figure, sorted by name."""
    return FIGURES.descriptions()


def draw_figures(
    runs: Sequence[TrainedRun], names: Sequence[str] | None, out: Path, say: Callable[[str], None] = print
) -> list[Path]:
    """Writes figures of ``runs`` to ``out`` as ``NAME.png``, or ``NAME_RUN.png`` where each run has its own.

    Args:
        names: of :func:`list_figures`; by default all that apply to these runs: one that does not is said, and left out.

    Returns:
        The files' paths.

    Raises:
        ValueError: an unknown name, or one that was asked for and does not apply.
    """
    from .style import save

    known = list_figures()
    if not runs:
        names = names or [name for name in known if not FIGURES[name].needs_run]
    written = []
    for name in names or known:
        draw, several, needs_run = FIGURES[name]
        if not runs and needs_run:
            raise ValueError(f"the figure {name!r} needs a trained run: give its folder.")
        for group in [list(runs)] if several else [[run] for run in runs]:
            label = name if len(group) == len(runs) else f"{name}_{group[0].name}"
            try:
                figure = draw(group)
            except ValueError as error:
                if names:
                    raise
                say(f"{label}: left out: {error}")
                continue
            out.mkdir(parents=True, exist_ok=True)
            written.append(save(figure, out / f"{re.sub(_NOT_IN_NAMES, '_', label).strip('_')}.png"))
    return written


def draw_run(experiment: Experiment) -> None:
    """``forecast.png`` and ``training.png`` in the folder of a run that has been tested.

    One that cannot be drawn is a warning: it costs nothing else of a run.
    """
    if not experiment.trainer.is_global_zero:
        return
    from .trained_run import TrainedRun

    for name in ("forecast",) if experiment.args.test else ("forecast", "training"):
        try:
            draw_figures([TrainedRun(experiment)], [name], experiment.save_dir)
        except Exception as error:  # a user's data can be such that no picture comes of them
            warnings.warn(f"{name}.png could not be drawn ({type(error).__name__}: {error})", stacklevel=2)
