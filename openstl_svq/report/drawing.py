"""The figures of a report that are not there yet."""

from collections.abc import Sequence
from pathlib import Path

from ..figures import draw_figures, list_figures
from ..figures.registry import FIGURES
from ..figures.trained_run import TrainedRun
from ..sweep.results import arms, read


def draw(
    folder: Path, names: Sequence[str] | None = None, *, data_root: str | None = None, samples: int = 64
) -> list[Path]:
    """Draws figures of a run, or of the first finished run of each setting of a sweep, into ``folder/figures``.

    Args:
        names: by default all that apply to a run, and of a sweep those that compare runs.
        data_root: where the data lie now, if not where they lay in training.
        samples: test windows, evenly spread.

    Raises:
        FileNotFoundError, ValueError: no such folder or name, no checkpoint, or its data are not there.
    """
    folder = Path(folder)
    if (folder / "config.py").is_file():
        places = [folder]
    else:
        first: dict[str, str] = {}
        for row in arms(read(folder)):
            first.setdefault(row["arm"], row["run"])
        places = [folder / run for run in first.values()]
        names = names or [name for name in list_figures() if FIGURES[name].several and FIGURES[name].needs_run]
    runs = [TrainedRun(place, data_root=data_root, samples=samples) for place in places]
    if len(runs) == 1:
        return draw_figures(runs, names, folder / "figures")
    written = []
    for name in names:
        able = [run for run in runs if _applies(name, run)]
        written += draw_figures(able, [name], folder / "figures") if able else []
    return written


def _applies(name: str, run: TrainedRun) -> bool:
    """Whether a figure can be drawn of a run: one without a quantizer has no codes."""
    try:
        FIGURES[name].draw([run])
    except ValueError as error:
        print(f"{name}: without {run.name}: {error}")
        return False
    return True
