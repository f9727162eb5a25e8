"""A run of a sweep as a process of its own, here or on a cluster's node: on from where it stopped, its output in a log.

Imports nothing heavy: every job of a cluster starts with this file.
"""

import contextlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

_BAR = re.compile(r"\d+%\||\| *\d+/\?? ")  # tqdm's, of known and of unknown length
_POLL_SECONDS = 0.1
# What SLURM and launchers like torchrun tell their processes; a run that inherits it takes itself for one of several.
_OF_A_LAUNCHER = ("SLURM_", "SLURMD_", "SRUN_", "SBATCH_", "SUBMITIT_")
_OF_A_PROCESS = {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT"}


@dataclass
class RunJob:
    """Training one cell of a sweep, on from where an earlier attempt stopped.

    :meth:`start` begins it as a process of this one; called, it is the function that a job of ``submitit`` runs, and
    :meth:`checkpoint` is what pre-emption and the end of a job's time ask for.

    Attributes:
        name: of the run's folder in ``folder``.
        words: the command line of ``train``.
        folder: of the sweep.
        train: ``tools/train.py``.
        grace: seconds that the run has to save what it has; less than lie between SLURM's signal and the kill (90).
        process: of the attempt that goes on.
    """

    name: str
    words: list[str]
    folder: Path
    train: Path
    grace: float = 60.0
    process: Any = None

    @property
    def log(self) -> Path:
        """What the run prints, all attempts one after another."""
        return self.folder / "logs" / f"{self.name}.log"

    def start(self, words: Sequence[str] = (), lock: int | None = None, **environment: str) -> subprocess.Popen:
        """Starts it as a process.

        Args:
            words: further ones for ``train``.
            lock: descriptor that the process inherits and holds.
            environment: further variables of it.
        """
        words = [*self.words, *words]
        place = self.folder / self.name
        if (place / "checkpoints" / "last.ckpt").is_file():
            words.append("--resume")
        elif place.is_dir():  # stopped before the first checkpoint: nothing to go on from
            shutil.rmtree(place)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_OF_A_LAUNCHER) and name not in _OF_A_PROCESS
        }
        with open(self.log, "a", encoding="utf-8") as output:
            return subprocess.Popen(
                [sys.executable, str(self.train), *words],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                pass_fds=() if lock is None else (lock,),
                env=inherited | environment,
            )

    def __call__(self) -> int:
        """Runs it to its end in a job of ``submitit``; its exit status."""
        if scores(self.folder / self.name) is not None:  # done before its node failed and the job came again
            return 0
        from submitit import JobEnvironment

        # SLURM sends this to all processes of the job. For the run it would be the end, before it has saved.
        number = getattr(signal, f"SIG{JobEnvironment.USR_SIG}")
        handler = signal.signal(number, signal.SIG_IGN)
        self.process = self.start()
        signal.signal(number, handler)
        status = _wait(self.process)
        if status in (-signal.SIGTERM, 128 + signal.SIGTERM):
            # Pre-emption and `scancel` send it to all processes. What follows, a request to requeue or the end of this
            # process, says which it was.
            time.sleep(self.grace)
        return status

    def checkpoint(self) -> Any:
        """Has the run save what it has and end; the same again, for the queue."""
        from submitit.helpers import DelayedSubmission

        if self.process is not None and _status(self.process) is None:
            self.process.send_signal(signal.SIGTERM)
            if _wait(self.process, self.grace) is None:
                self.process.kill()
        return DelayedSubmission(replace(self, process=None))


def _status(process: subprocess.Popen) -> int | None:
    """Exit status, negative for a signal, ``None`` while it runs.

    Leaves the process to be asked again, and takes no lock as ``Popen.poll`` does: a signal's handler calls this in the
    middle of another call.
    """
    try:
        found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return process.returncode
    if found is None:
        return None
    return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status


def _wait(process: subprocess.Popen, seconds: float = math.inf) -> int | None:
    end = time.monotonic() + seconds
    while (status := _status(process)) is None and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
    return status


def scores(run_folder: Path) -> dict[str, float] | None:
    """The model's scores over all lead times, or None where the run has none yet."""
    try:
        record = json.loads((run_folder / "metrics.json").read_text(encoding="utf-8"))
        found = record["scores"]["model"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return {name: math.nan if value is None else value for name, value in found.items() if not isinstance(value, list)}


def last_line(log: Path) -> str:
    """The last line that is not empty; a progress bar rewrites its line with carriage returns."""
    return next(reversed(_last_lines(log)), "")


def failure(log: Path, begin: int = 0) -> str:
    """Why a run failed: the last error that it printed, or its last line that is no progress bar.

    Args:
        begin: where this attempt begins in the file.
    """
    lines = [line for line in _last_lines(log, begin) if not _BAR.search(line)]
    last = f"no error was printed, last {lines[-1]!r}" if lines else "nothing was printed"
    return next((line for line in reversed(lines) if line.startswith("error: ")), last)


def _last_lines(log: Path, begin: int = 0) -> list[str]:
    with contextlib.suppress(OSError), open(log, "rb") as file:
        file.seek(max(begin, file.seek(0, 2) - 4096))
        text = file.read().decode("utf-8", "replace")
        lines = [line.strip() for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text))]
        return [line for line in lines if line]
    return []
