"""The folder of a run: claiming one for a new run, and finding the checkpoints of an earlier one."""

import contextlib
import os
import time
from argparse import Namespace
from pathlib import Path

from pytorch_lightning.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from pytorch_lightning.utilities import rank_zero_only

from ..files import refuse_special

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

_PATIENCE_SECONDS = 15


@rank_zero_only
def say(text: str) -> None:
    """Prints a line, once for all processes."""
    print(text, flush=True)


def locate(place: str | Path, name: str = "best") -> Path:
    """The checkpoint file that ``place`` means: itself, or ``checkpoints/<name>.ckpt`` in a run folder.

    Raises:
        FileNotFoundError: there is none.
    """
    place = Path(place)
    if place.exists():
        refuse_special(place)
    if place.is_file():
        return place
    path = place / "checkpoints" / f"{name}.ckpt"
    if path.is_file():
        return path
    if not place.is_dir():
        raise FileNotFoundError(f"{place} does not exist. Give the folder of a run, or one of its checkpoints.")
    raise FileNotFoundError(f"{place} is no run folder with a checkpoint: {path} does not exist.")


def run_folder(path: Path) -> Path:
    """The folder of the run that a checkpoint is of, or where the checkpoint lies if that is no run folder."""
    return path.parent.parent if path.parent.name == "checkpoints" else path.parent


def find_checkpoint(args: Namespace) -> Path:
    """The checkpoint that ``--resume`` continues from.

    Raises:
        FileNotFoundError: there is none: a run is never started from scratch in silence.
    """
    place = Path(args.res_dir, args.ex_name) if args.resume is True else Path(args.resume)
    if place.exists():
        refuse_special(place)
    path = place / "checkpoints" / "last.ckpt" if place.is_dir() or args.resume is True else place
    if not path.is_file():
        runs = sorted(p.parent.parent.name for p in Path(args.res_dir).glob("*/checkpoints/last.ckpt"))
        have = f" Runs in {args.res_dir}: {', '.join(runs)}." if runs else ""
        raise FileNotFoundError(
            f"nothing to resume: {path} does not exist.{have} Name the run with --ex_name, or give "
            "its folder or checkpoint to --resume; leave --resume out to start afresh."
        )
    return path


_held: dict[Path, int] = {}  # folders that this process has locked, by their descriptors


def claim_folder(res_dir: Path, name: str, num_nodes: int = 1) -> str:
    """``name``, or ``name-2``, ``name-3``, ... when an earlier run's results stand there: nothing is overwritten.

    The folder is made, and is this process's until it ends: of runs that start together each has its own.

    Raises:
        ValueError: results stand there, and processes that cannot tell each other have been started by a launcher.
    """
    marker = "OPENSTL_SVQ_EX_NAME"  # the processes that Lightning starts for the other devices inherit the choice
    if os.environ.get("LOCAL_RANK", "0") != "0" and marker in os.environ:
        return os.environ[marker]

    if num_nodes > 1 or _started_by_a_launcher():  # all at once: what one finds is not what another finds
        if _is_first_process() and not _claim(res_dir / name):
            raise ValueError(
                f"{res_dir / name} holds an earlier run. Give this one another --ex_name, or continue "
                "that one with --resume."
            )
        return name
    chosen, number = name, 2
    while not _claim(res_dir / chosen):
        chosen, number = f"{name}-{number}", number + 1
    if chosen != name:
        say(f"{res_dir / name} holds an earlier run; this one goes to {res_dir / chosen}")
    os.environ[marker] = chosen
    return chosen


def _claim(folder: Path) -> bool:
    """Makes ``folder`` this process's, if nothing is in it and nobody else has it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir()
        made = True
    except FileExistsError:
        made = False
        if not folder.is_dir() or any(folder.iterdir()) or folder.resolve() in _held:
            return False
    locked = _lock(folder)
    if locked is None:  # a file system without locks: the one that has made it has it
        return made
    if locked and any(folder.iterdir()):  # since it was looked at
        release_folder(folder)
        return False
    return locked


def hold_folder(folder: Path) -> None:
    """Makes the folder of an earlier run this process's, to go on in it.

    Raises:
        ValueError: another process has it, also after some seconds, which the workers of a killed run may take to end.
    """
    if not _is_first_process():
        return
    for _ in range(_PATIENCE_SECONDS):
        if _lock(folder) is not False:
            return
        time.sleep(1)
    raise ValueError(
        f"{folder} is in use: another process goes on with that run. Wait for it to end, or stop it first."
    )


def release_folder(folder: Path) -> None:
    """Gives ``folder`` back, and takes it away where nothing has been written into it."""
    if (descriptor := _held.pop(folder.resolve(), None)) is not None:
        os.close(descriptor)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _lock(folder: Path) -> bool | None:
    """Whether this process has ``folder`` now; ``None`` where there are no locks."""
    if fcntl is None or folder.resolve() in _held:
        return None if fcntl is None else True
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        return False if isinstance(error, BlockingIOError) else None
    _held[folder.resolve()] = descriptor
    return True


def _started_by_a_launcher() -> bool:
    """Whether torchrun or SLURM has started several processes."""
    tasks = {TorchElasticEnvironment: "WORLD_SIZE", SLURMEnvironment: "SLURM_NTASKS"}
    return any(environment.detect() and int(os.environ.get(count, 1)) > 1 for environment, count in tasks.items())


def _is_first_process() -> bool:
    names = ("RANK", "SLURM_PROCID", "NODE_RANK", "GROUP_RANK", "LOCAL_RANK")
    return all(os.environ.get(name, "0") == "0" for name in names)
