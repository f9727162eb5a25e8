"""Running a plan: one run after another, each on from where it stopped, by one sweep at a time."""

import contextlib
import json
import math
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .. import config as configuration
from ..config_file import load_config
from ..metrics import headline_metrics
from .plan import Run, identity

try:
    import fcntl
except ImportError:  # not on Windows; two sweeps in one folder are then the user's care
    fcntl = None

_POLL_SECONDS = 0.5
_BAR = re.compile(r"\d+%\||\| *\d+/\?? ")  # tqdm's, of known and of unknown length


def state(run: Run, folder: Path) -> str:
    """``finished``, ``interrupted`` (with a checkpoint to go on from), or ``new``.

    Raises:
        ValueError: the run's folder holds something else.
    """
    place = folder / run.name
    if not place.is_dir() or not any(place.iterdir()):
        return "new"
    try:
        saved = load_config(place / "config.py")
    except (FileNotFoundError, ValueError):
        raise ValueError(
            f"{place} exists and is not a run folder. Move it away, or give the sweep another --ex_name."
        ) from None
    # A key that is newer than the saved run had its default then.
    here, there = identity(run.config), identity({**configuration.defaults(), **saved})
    differing = sorted(k for k in here.keys() | there.keys() if here.get(k) != there.get(k))
    if differing:
        shown = "; ".join(f"{k} is {there.get(k)!r} there and {here.get(k)!r} now" for k in differing[:3])
        raise ValueError(
            f"{place} holds a run with another configuration: {shown}. Give the sweep another --ex_name, "
            "or move that folder away."
        )
    if scores(place) is not None:
        return "finished"
    return "interrupted" if (place / "checkpoints" / "last.ckpt").is_file() else "new"


def scores(run_folder: Path) -> dict[str, float] | None:
    """The model's scores over all lead times, or None where the run has none yet."""
    try:
        record = json.loads((run_folder / "metrics.json").read_text(encoding="utf-8"))
        found = record["scores"]["model"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return {name: math.nan if value is None else value for name, value in found.items() if not isinstance(value, list)}


@contextlib.contextmanager
def locked(folder: Path, waiting: Callable[[], None]):
    """Holds the folder for one sweep; yields the descriptor for its runs to inherit.

    So if the sweep is killed and its run goes on alone, the next sweep waits for that run instead of starting it twice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w", encoding="ascii") as file:
        if fcntl:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def execute(run: Run, folder: Path, train: Path, lock: int, progress: Callable[[str], None] | None = None) -> int:
    """Runs ``train`` (``tools/train.py``) for one cell, on from where an earlier attempt stopped; its exit status."""
    words = list(run.words)
    place = folder / run.name
    if state(run, folder) == "interrupted":
        words.append("--resume")
    elif place.is_dir():  # stopped before the first checkpoint: nothing to go on from
        shutil.rmtree(place)
    log = _log_file(run, folder)
    log.parent.mkdir(exist_ok=True)
    with open(log, "a", encoding="utf-8") as output:
        process = subprocess.Popen(
            [sys.executable, str(train), *words],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            pass_fds=(lock,) if fcntl else (),
        )
        try:
            while process.poll() is None:
                if progress:
                    progress(last_line(log))
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL_SECONDS)
        except BaseException:  # interrupted: the run saves what it has and ends first
            process.terminate() if sys.platform == "win32" else process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            raise
    return process.returncode


def _log_file(run: Run, folder: Path) -> Path:
    return folder / "logs" / f"{run.name}.log"


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
    try:
        with open(log, "rb") as file:
            file.seek(max(begin, file.seek(0, 2) - 4096))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = [line.strip() for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text))]
    return [line for line in lines if line]


def sweep(
    runs: Sequence[Run], folder: Path, train: Path, report: Callable[[str], None], display: Any
) -> dict[str, str]:
    """Runs what is not finished. Returns the failed runs' names with the last line that each printed.

    Args:
        report: takes a line for every run that ends.
        display: a progress bar with tqdm's ``update`` and ``set_postfix_str``.
    """
    for run in runs:
        state(run, folder)  # a folder in the way stops the sweep before it starts, not in its middle
    failed = {}
    in_use = f"{folder} is in use: waiting for the run of another or a killed sweep to end"
    with locked(folder, lambda: report(in_use)) as lock:
        width = len(str(len(runs)))
        for number, run in enumerate(runs, 1):
            if state(run, folder) == "finished":
                display.update()
                continue
            started, log = time.monotonic(), _log_file(run, folder)
            begin = log.stat().st_size if log.exists() else 0
            status = execute(
                run, folder, train, lock, lambda line, name=run.name: display.set_postfix_str(f"{name}: {line}"[:100])
            )
            found = scores(folder / run.name)
            if status == 0 and found is None:
                status = "no metrics.json"
            minutes, seconds = divmod(round(time.monotonic() - started), 60)
            if status:
                failed[run.name] = failure(log, begin)
                result = f"FAILED ({status}): {failed[run.name]}"
            else:
                result = ", ".join(f"{k} {v:.4g}" for k, v in found.items() if k in headline_metrics())
            report(f"[{number:{width}}/{len(runs)}] {run.name}  {minutes}:{seconds:02}  {result}")
            display.update()
    return failed


def run_all(runs: Sequence[Run], folder: Path, train: Path, after_each: Callable[[], object]) -> dict[str, str]:
    """:func:`sweep` for a command line: a progress bar, a line for each run that ends, and a clean end on SIGTERM.

    Args:
        after_each: called after every run, for tables of what there is so far.
    """
    from tqdm import tqdm

    def report(line: str) -> None:
        tqdm.write(line, file=sys.stdout)
        after_each()

    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated; the same command goes on from here"))
    with tqdm(total=len(runs), unit="run", disable=None, dynamic_ncols=True) as bar:
        try:
            return sweep(runs, folder, train, report, bar)
        except KeyboardInterrupt:
            bar.close()
            sys.exit("interrupted; the same command goes on from here")


def failures(failed: dict[str, str], count: int, folder: Path) -> str:
    """What a command says of the runs that failed, of ``count``."""
    lines = "\n".join(f"  {name}: {line}\n    {folder}/logs/{name}.log" for name, line in failed.items())
    return f"\n{len(failed)} of {count} runs failed; the same command tries them again:\n{lines}"
