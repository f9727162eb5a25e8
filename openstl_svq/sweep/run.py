"""Running a plan: each run on from where it stopped, by one sweep at a time, here or on a cluster."""

import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from .. import config as configuration
from ..config_file import load_config
from ..jobs import failure, last_line, scores
from ..metrics import headline_metrics
from .launchers import Attempt, Launcher, LocalLauncher
from .plan import Run, identity

try:
    import fcntl
except ImportError:  # not on Windows; two sweeps in one folder are then the user's care
    fcntl = None


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
        if (version := _version_of(place)) not in (None, __version__):
            raise ValueError(
                f"{place} holds a run of openstl_svq {version}, and this is {__version__}: one table would hold results "
                "of two versions. Give the sweep another --ex_name, or move that folder away."
            )
        return "finished"
    return "interrupted" if (place / "checkpoints" / "last.ckpt").is_file() else "new"


def _version_of(place: Path) -> str | None:
    """The version that has trained a finished run."""
    record = json.loads((place / "metrics.json").read_text(encoding="utf-8"))
    return (record.get("provenance") or {}).get("openstl_svq")


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
        yield file.fileno() if fcntl else None


def sweep(
    runs: Sequence[Run],
    folder: Path,
    train: Path,
    report: Callable[[str], None],
    display: Any,
    launcher: Launcher | None = None,
) -> dict[str, str]:
    """Runs what is not finished. Returns the failed runs' names with the last line that each printed.

    Args:
        report: takes a line for every run that ends.
        display: a progress bar with tqdm's ``update`` and ``set_postfix_str``.
        launcher: where the runs run; by default one after another on this machine.

    Raises:
        ValueError: something else in a run's folder; the launcher cannot take the runs.
    """
    launcher = launcher or LocalLauncher()
    launcher.check(runs, folder)
    for run in runs:
        state(run, folder)  # a folder in the way stops the sweep before it starts, not in its middle
    failed: dict[str, str] = {}
    numbers = {run.name: number for number, run in enumerate(runs, 1)}
    in_use = f"{folder} is in use: waiting for the run of another or a killed sweep to end"
    with locked(folder, lambda: report(in_use)) as lock:
        waiting = [run for run in runs if state(run, folder) != "finished"]
        display.update(len(runs) - len(waiting))
        running = launcher.going_on(waiting, folder)
        waiting = [run for run in waiting if run not in [attempt.run for attempt in running]]
        try:
            while waiting or running:
                room = min(launcher.at_once - len(running), len(waiting))
                if room > 0:
                    some, waiting = waiting[:room], waiting[room:]
                    running += launcher.start(some, folder, train, lock)
                time.sleep(launcher.poll_seconds)
                for attempt in list(running):
                    status = launcher.status(attempt)
                    if status is None:
                        continue
                    running.remove(attempt)
                    result = _result(attempt, status, folder, failed)
                    minutes, seconds = divmod(round(time.monotonic() - attempt.started), 60)
                    number = f"{numbers[attempt.run.name]:{len(str(len(runs)))}}"
                    report(f"[{number}/{len(runs)}] {attempt.run.name}  {minutes}:{seconds:02}  {result}")
                    display.update(1)
                if running:
                    several = f"{len(running)} going on; " if len(running) > 1 else ""
                    first = running[0]
                    display.set_postfix_str(f"{several}{first.run.name}: {last_line(first.log)}"[:100])
        except BaseException:
            if said := launcher.stop(running):
                report(said)
            raise
    return failed


def _result(attempt: Attempt, status: int | str, folder: Path, failed: dict[str, str]) -> str:
    """What is reported of a run that has ended; a failure is noted in ``failed``."""
    found = scores(folder / attempt.run.name)
    if status == 0 and found is not None:
        return ", ".join(f"{name} {found[name]:.4g}" for name in headline_metrics(found))
    reason = failure(attempt.log, attempt.begin)
    if isinstance(status, str):  # the run itself could not say why it ended
        reason = f"{status}: {reason}"
    failed[attempt.run.name] = reason
    return f"FAILED: {reason}" if isinstance(status, str) else f"FAILED ({status or 'no metrics.json'}): {reason}"


def run_all(
    runs: Sequence[Run], folder: Path, train: Path, after_each: Callable[[], object], launcher: Launcher | None = None
) -> dict[str, str]:
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
            return sweep(runs, folder, train, report, bar, launcher)
        except KeyboardInterrupt:
            bar.close()
            sys.exit("interrupted; the same command goes on from here")


def failures(failed: dict[str, str], count: int, folder: Path) -> str:
    """What a command says of the runs that failed, of ``count``."""
    lines = "\n".join(f"  {name}: {line}\n    {folder}/logs/{name}.log" for name, line in failed.items())
    return f"\n{len(failed)} of {count} runs failed; the same command tries them again:\n{lines}"
