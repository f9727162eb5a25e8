"""How long a run takes to its first step, against the imports that no run can do without."""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from ..naming import choose
from ..timing import paired_ratio, time_in_turn
from . import Progress, register_benchmark
from .tables import Table, milliseconds

_IMPORTS = "import torch, pytorch_lightning"
# Ends the process where the first step of an optimizer would begin.
_FIRST_STEP = """
import os
from openstl_svq.commands import train
from torch.optim.optimizer import register_optimizer_step_pre_hook
register_optimizer_step_pre_hook(lambda *_: os._exit(99))
train.main()
"""
_REACHED = 99


@register_benchmark("startup", "a run to its first step, against importing torch and Lightning")
def startup_table(
    config: str = "weather_sample/SimVP_SVQ_gSTA",
    dataname: str = "weather_sample",
    rounds: int = 5,
    clock: str = "wall",
    *,
    progress: Progress = None,
) -> Table:
    """A fresh process for each call: ``tools/train.py -d DATANAME -c CONFIG`` on a CPU, up to its first step.

    Args:
        clock: wall, or processor on a machine that others use too.
    """
    run = ["-d", dataname, "-m", "simvp_svq", "-c", config, "--accelerator", "cpu", "--num_workers", "0"]
    calls = {"run": partial(_process, _FIRST_STEP, run, _REACHED), "imports": partial(_process, _IMPORTS, [], 0)}
    seconds = time_in_turn(calls, rounds, warmup=0, progress=progress, clock=_CLOCKS[choose("clock", clock, _CLOCKS)])
    ratio = paired_ratio(seconds["run"], seconds["imports"])
    labels = {"imports": _IMPORTS, "run": f"tools/train.py -d {dataname}, to the first step"}
    rows: list[dict] = [{"what": what, "seconds": statistics.median(seconds[key])} for key, what in labels.items()]
    rows[1] |= {"ratio": ratio.median, "ratio_text": str(ratio)}
    columns = {"what": "What", "seconds": ("Time", milliseconds), "ratio_text": "Ratio"}
    return Table(
        columns,
        rows,
        "Start of a run",
        [f"Fresh processes, {rounds} rounds in turn; median of paired ratios with a 95 % interval.", f"Time: {clock}."],
    )


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


_CLOCKS = {"wall": time.perf_counter, "processor": _children}


def _process(code: str, words: list[str], status: int) -> None:
    search = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", code, *words, "--res_dir", folder],
            env={**os.environ, "PYTHONPATH": search},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    if done.returncode != status:
        raise RuntimeError(f"the process ended with status {done.returncode} and said:\n{done.stdout[-2000:]}")
