"""A model in memory as a run folder."""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import write_text
from ..training import checkpoint
from .export import scores_of

if TYPE_CHECKING:
    from .forecaster import Forecaster


def save_run(model: "Forecaster", folder: str | os.PathLike) -> None:
    """See :meth:`~openstl_svq.predict.Forecaster.save`."""
    folder = Path(os.path.abspath(Path(folder).expanduser()))
    run = Path(os.path.abspath(str(model.hparams.get("save_dir") or "")))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is there already, and nothing is written over: give another name, or remove it.")
    if run in folder.parents:
        raise ValueError(f"{folder} lies in the run's own folder {run}: give a place outside it.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as partial:  # all or nothing
        made, state = Path(partial, folder.name), {}
        best = made / "checkpoints" / "best.ckpt"
        if (run / "checkpoints").is_dir():
            shutil.copytree(run, made)
            state = checkpoint.load(best) if best.is_file() else {}
        elif record := scores_of(model):
            write_text(made / "metrics.json", json.dumps(record, indent=1) + "\n")
        # What is in memory, which need not be what the folder's best checkpoint holds.
        state |= {"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams), "folded": model.folded}
        checkpoint.save(state, best)
        os.replace(made, folder)
