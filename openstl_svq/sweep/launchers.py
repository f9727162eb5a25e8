"""Where the runs of a sweep run: on this machine, several at a time where there is room, or as jobs of a cluster."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config_file import parse_value
from ..data.loaders import WORKERS
from ..jobs import RunJob
from ..naming import choose
from .plan import Run

if TYPE_CHECKING:
    import argparse

    import submitit

LAUNCHERS = ("local", "slurm")
JOBS = Path("logs", "jobs")  # in a sweep's folder: what submitit keeps of its jobs
MOST_REQUEUES = 100  # of a job whose time has ended: a run of weeks in jobs of hours


class Attempt:
    """A run that has been started.

    Attributes:
        handle: its process, or its job.
        begin: where what it prints begins in ``log``.
    """

    def __init__(self, run: Run, handle: Any, log: Path, begin: int = 0):
        self.run, self.handle, self.log, self.begin = run, handle, log, begin
        self.started = time.monotonic()


class Launcher(ABC):
    """Starts runs, and says how they stand; which ones and with what result is the sweep's part.

    Attributes:
        at_once: at most so many are started before one of them has ended.
        poll_seconds: between two looks at those that go on.
    """

    at_once: int = 1
    poll_seconds: float = 0.5

    @abstractmethod
    def check(self, runs: Sequence[Run], folder: Path) -> None:
        """Looks for what would stop the runs, before any of them starts.

        Raises:
            ValueError: what it is, and what to do.
        """

    def going_on(self, runs: Sequence[Run], folder: Path) -> list[Attempt]:
        """Those of ``runs`` that an earlier sweep has started and that go on without it."""
        return []

    @abstractmethod
    def start(self, runs: Sequence[Run], folder: Path, train: Path, lock: int | None) -> list[Attempt]:
        """Starts ``runs``, at most :attr:`at_once` less those that go on.

        Args:
            folder: of the sweep.
            train: ``tools/train.py``.
            lock: descriptor that keeps the folder for this sweep, and for the runs that outlive it.
        """

    @abstractmethod
    def status(self, attempt: Attempt) -> int | str | None:
        """``None`` while it goes on, then its exit status, or in words why it has none."""

    @abstractmethod
    def stop(self, attempts: Sequence[Attempt]) -> str | None:
        """What becomes of runs that go on when the sweep is interrupted; what the user is to know of it."""


def _begin(job: RunJob) -> int:
    return job.log.stat().st_size if job.log.exists() else 0


class LocalLauncher(Launcher):
    """Processes on this machine.

    Args:
        jobs: so many at a time. With more than one, each has its share of the processor's cores and of the visible
            NVIDIA devices: as many devices as its ``--gpus`` names, alone if there are enough for all.

    Raises:
        ValueError: ``jobs`` below 1.
    """

    def __init__(self, jobs: int = 1):
        if jobs < 1:
            raise ValueError(f"--jobs must be 1 or more, got {jobs}.")
        self.at_once = jobs
        self._places: dict[int, Attempt] = {}  # 0 ... jobs - 1 -> who has it

    def check(self, runs: Sequence[Run], folder: Path) -> None:
        if (folder / JOBS).is_dir() and shutil.which("squeue"):
            ids = [job for job in sorted(_queued() or ()) if (folder / JOBS / f"{job}_submitted.pkl").exists()]
            if ids:
                raise ValueError(
                    f"jobs of {folder} are in SLURM's queue: go on with --launcher slurm, or end them with "
                    f"`scancel {' '.join(ids)}`."
                )

    def start(self, runs: Sequence[Run], folder: Path, train: Path, lock: int | None) -> list[Attempt]:
        started = []
        for run in runs:
            job = RunJob(run.name, run.words, folder, train)
            place = next(k for k in range(self.at_once) if k not in self._places)
            words, environment = self._share(run, place)
            begin = _begin(job)
            attempt = Attempt(run, job.start(words, lock, **environment), job.log, begin)
            self._places[place] = attempt
            started.append(attempt)
        return started

    def _share(self, run: Run, place: int) -> tuple[list[str], dict[str, str]]:
        """Further words and variables for the run that has ``place``."""
        if self.at_once == 1:
            return [], {}
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        environment = {}
        if "OMP_NUM_THREADS" not in os.environ:
            environment["OMP_NUM_THREADS"] = str(max(1, cores // self.at_once))
        count, devices = device_count(run), visible_devices()
        if not count or count > len(devices):  # none wanted, or the run says itself that there are too few
            return [], environment
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(
            devices[(place * count + k) % len(devices)] for k in range(count)
        )
        return ["--gpus", *map(str, range(count))], environment

    def status(self, attempt: Attempt) -> int | None:
        status = attempt.handle.poll()
        if status is not None:
            self._places = {place: other for place, other in self._places.items() if other is not attempt}
        return status

    def stop(self, attempts: Sequence[Attempt]) -> None:
        """Each saves what it has and ends."""
        for attempt in attempts:
            with contextlib.suppress(ProcessLookupError):
                if sys.platform == "win32":
                    attempt.handle.terminate()
                else:
                    attempt.handle.send_signal(signal.SIGINT)
        end = time.monotonic() + 30
        for attempt in attempts:
            try:
                attempt.handle.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                attempt.handle.kill()
                attempt.handle.wait()


def device_count(run: Run) -> int:
    """NVIDIA devices that ``run`` takes; 0 where it asks for a CPU."""
    return 0 if run.config.get("accelerator") == "cpu" else len(run.config.get("gpus") or [0])


def visible_devices() -> list[str]:
    """Names of the NVIDIA devices that this process may use, as ``CUDA_VISIBLE_DEVICES`` takes them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    import torch

    return [str(k) for k in range(torch.cuda.device_count())]


class SubmititLauncher(Launcher):
    """Jobs of an executor of ``submitit``, all handed over at once.

    A job that is pre-empted, or whose time ends, saves what it has and goes back into the queue.

    Args:
        executor: makes one for the folder that it is to write to.
    """

    at_once = 1000  # what SLURM takes in one array by default

    def __init__(self, executor: Callable[[Path], submitit.Executor]):
        self._executor = executor

    def check(self, runs: Sequence[Run], folder: Path) -> None:
        for run in runs:
            if (nodes := run.config.get("num_nodes") or 1) > 1:
                raise ValueError(f"a job has one node, and {run.name} has num_nodes={nodes}; use --launcher local.")

    def start(self, runs: Sequence[Run], folder: Path, train: Path, lock: int | None) -> list[Attempt]:
        import submitit
        from submitit.helpers import clean_env, environment_variables

        executor = self._executor(folder / JOBS)
        jobs = [RunJob(run.name, run.words, folder, train) for run in runs]
        begins = [_begin(job) for job in jobs]
        # An allocation at hand is not the jobs'; where SLURM's configuration lies is.
        kept = {name: value for name, value in os.environ.items() if name == "SLURM_CONF"}
        try:
            with clean_env(), environment_variables(**kept), executor.batch():
                handles = [executor.submit(job) for job in jobs]
        except submitit.core.utils.FailedJobError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ValueError(f"the jobs were refused: {reason}") from error
        return [Attempt(*parts) for parts in zip(runs, handles, [job.log for job in jobs], begins)]

    def status(self, attempt: Attempt) -> int | str | None:
        job = attempt.handle
        if job.paths.result_pickle.exists():
            error = job.exception()
            return job.result() if error is None else f"job {job.job_id}: {_last(str(error))}"
        if not self._has_ended(job):
            return None
        if job.paths.result_pickle.exists():  # written between the two looks
            return self.status(attempt)
        state = f", {job.state}" if job.state not in ("UNKNOWN", "FINISHED") else ""
        return f"job {job.job_id} ended without a result{state}; its own log: {job.paths.stderr}"

    def _has_ended(self, job: submitit.Job) -> bool:
        return job.done()

    def stop(self, attempts: Sequence[Attempt]) -> str | None:
        for attempt in attempts:
            attempt.handle.cancel(check=False)
        return None


def _last(text: str) -> str:
    """The error's own line in what submitit reports: the last of the traceback."""
    lines = [line for line in text.splitlines() if re.match(r"[\w.]+(Error|Exception|Interrupt)\b", line)]
    return lines[-1] if lines else text.strip().splitlines()[-1]


@dataclass
class SlurmLauncher(SubmititLauncher):
    """An array of jobs in SLURM's queue, which outlives the sweep: the same command takes them up again.

    Attributes:
        partition: of the cluster; its default if ``None``.
        minutes: of one job. A run that takes longer saves, and goes on in the next.
        array_limit: so many jobs at a time; as many as the cluster gives if ``None``.
        options: of ``sbatch``, further ones or others than what is taken from the runs: ``gpus_per_node`` (of
            ``--gpus``) and ``cpus_per_task`` (``--num_workers`` and one, for each device).

    Raises:
        ImportError: no submitit.
        ValueError: no SLURM here, or one that does not answer; an unknown partition; a limit below 1.
    """

    partition: str | None = None
    minutes: int = 60
    array_limit: int | None = None
    options: Mapping[str, Any] | None = None
    poll_seconds: float = 2.0
    queue_seconds: float = 10.0

    def __post_init__(self):
        if self.array_limit is not None and self.array_limit < 1:
            raise ValueError(f"--array_limit must be 1 or more, got {self.array_limit}.")
        if missing := [name for name in ("sbatch", "srun", "squeue", "sinfo") if not shutil.which(name)]:
            raise ValueError(
                f"--launcher slurm: there is no SLURM on this machine (no {', '.join(missing)}). Give the command on "
                "a login node of the cluster, or take --launcher local --jobs N."
            )
        try:
            import submitit  # noqa: F401
        except ImportError:
            raise ImportError(
                "--launcher slurm needs the package submitit: pip install 'openstl_svq[slurm]', or pip install submitit."
            ) from None
        partitions = _ask("sinfo", "--noheader", "--format=%R")
        if partitions is None:
            raise ValueError("--launcher slurm: SLURM's controller does not answer; `scontrol ping` says more.")
        if self.partition is not None:
            choose("partition", self.partition, partitions.split())
        self._looked, self._queue, self._absent = -float("inf"), set[str](), dict[str, int]()
        self._needs: dict[str, int] = {}

    def check(self, runs: Sequence[Run], folder: Path) -> None:
        super().check(runs, folder)
        devices = max(device_count(run) for run in runs)
        asked = [run.config.get("num_workers") for run in runs]
        workers = max(WORKERS if number is None else number for number in asked)
        self._needs = {"cpus_per_task": (workers + 1) * max(1, devices)} | (
            {"gpus_per_node": devices} if devices else {}
        )

    def _executor(self, folder: Path) -> submitit.Executor:
        import submitit

        executor = submitit.SlurmExecutor(folder, max_num_timeout=MOST_REQUEUES)
        settings: dict[str, Any] = {"job_name": folder.parent.parent.name, "time": self.minutes} | self._needs
        settings["array_parallelism"] = self.array_limit or self.at_once
        if self.partition is not None:
            settings["partition"] = self.partition
        further = {"requeue": True}
        for name, value in (self.options or {}).items():
            (settings if name in executor._valid_parameters() else further)[name] = value
        executor.update_parameters(**settings, additional_parameters=further)
        return executor

    def going_on(self, runs: Sequence[Run], folder: Path) -> list[Attempt]:
        import submitit

        named = {run.name: run for run in runs}
        found = []
        for job_id in sorted(_queued() or ()):
            job = submitit.SlurmJob(folder / JOBS, job_id)
            if job.paths.submitted_pickle.exists() and not job.paths.result_pickle.exists():
                run_job = job.submission().function
                if run_job.name in named:
                    found.append(Attempt(named[run_job.name], job, run_job.log, _begin(run_job)))
        return found

    def _has_ended(self, job: submitit.Job) -> bool:
        """Whether it was out of the queue in two looks: ``sacct``, which submitit asks, is not on every cluster."""
        now = time.monotonic()
        if now - self._looked > self.queue_seconds:
            self._looked = now
            queue = _queued()
            if queue is None:
                return False
            self._queue = queue
            self._absent = {name: count + 1 for name, count in self._absent.items() if name not in queue}
        if job.job_id in self._queue:
            return False
        return self._absent.setdefault(job.job_id, 0) >= 2

    def stop(self, attempts: Sequence[Attempt]) -> str | None:
        ids = " ".join(dict.fromkeys(attempt.handle.job_id.partition("_")[0] for attempt in attempts))
        return f"the jobs stay in SLURM's queue; `scancel {ids}` ends them" if ids else None


def _ask(*command: str) -> str | None:
    """What a command of SLURM's answers; ``None`` if it does not."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def _queued() -> set[str] | None:
    """This user's jobs, waiting or running, as ``123`` or ``123_4``; ``None`` if SLURM does not answer."""
    answer = _ask("squeue", "--me", "--noheader", "--array", "--format=%i")
    return None if answer is None else set(answer.split())


def minutes(text: str) -> int:
    """SLURM's notation of a time, in minutes: ``90``, ``1:30:00``, ``2-12``, ``2-12:30``.

    >>> minutes("90"), minutes("1:30:00"), minutes("2-12")
    (90, 90, 3600)

    Raises:
        ValueError: another notation, or nothing.
    """
    days, dash, rest = text.rpartition("-")
    parts = rest.split(":")
    if not all(map(str.isdecimal, [*parts, *([days] if dash else [])])) or len(parts) > 3:
        raise ValueError(f"--time takes minutes, H:M:S, D-H or D-H:M, got {text!r}.")
    numbers = [int(part) for part in parts]
    if not dash and len(numbers) < 3:  # minutes, minutes:seconds
        numbers = [0, *numbers]
    hours, minute, second = [*numbers, 0, 0][:3]
    total = 1440 * int(days or 0) + 60 * hours + minute + (second > 0)
    if not total:
        raise ValueError(f"--time must be a minute or more, got {text!r}.")
    return total


def parse_options(words: Sequence[str]) -> dict[str, Any]:
    """``["account=abc", "mem=32G"]`` as a dictionary.

    Raises:
        ValueError: a word without ``=``.
    """
    if wrong := [word for word in words if "=" not in word]:
        raise ValueError(f"--slurm takes KEY=VALUE, got {wrong[0]!r}.")
    return {key: parse_value(value) for key, _, value in (word.partition("=") for word in words)}


def build_launcher(args: argparse.Namespace) -> Launcher:
    """The launcher that the flags of :func:`openstl_svq.cli.add_launcher_flags` describe.

    Raises:
        ImportError, ValueError: it cannot be had here; a flag of the other launcher.
    """
    launcher = choose("launcher", args.launcher, LAUNCHERS)
    of_the_other = {"local": ("partition", "time", "array_limit", "slurm"), "slurm": ("jobs",)}[launcher]
    for name in of_the_other:
        if getattr(args, name) not in (None, []):
            raise ValueError(f"--{name} has no effect with --launcher {launcher}.")
    if launcher == "local":
        return LocalLauncher(1 if args.jobs is None else args.jobs)
    return SlurmLauncher(args.partition, minutes(args.time or "60"), args.array_limit, parse_options(args.slurm))
