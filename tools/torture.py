"""Tries to make the command lines lose work or give a wrong answer, and prints what came of it.

    python tools/torture.py --kills 100 --disk 30 --flips 300 --truncations 100 --settings 500   # some 40 minutes
    python tools/torture.py --ranks 12                                                            # some 10 minutes
    python tools/torture.py --kills 2 --flips 20 --truncations 10 --settings 10                   # a minute
    python tools/torture.py --kills 0 --flips 0 --truncations 0 --settings 0 --only settings:17   # one trial again

Every trial is drawn from (seed, round, number) alone. Commands run from tools/ in processes of their own, forked from
this one, which has imported the package once; --processes new starts an interpreter for each instead. Files that a
trial damages are read in this process, through the functions that the commands read them with.

What a trial comes to:

- correct: the answer of an undisturbed run.
- clear: one message that names what is wrong, and a status above 0.
- unclear: a message that names nothing that was changed, no message, or a command that does not end.
- traceback: the interpreter's.
- silently wrong: status 0 and another answer, or nonsense taken.
- lost: work that was done and cannot be gone on with.
"""

import argparse
import contextlib
import fcntl
import io
import json
import multiprocessing
import os
import random
import resource
import runpy
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np  # noqa: E402

TOOLS = Path(__file__).resolve().parent
OUTCOMES = ("correct", "clear", "unclear", "traceback", "silently wrong", "lost")
GOOD = ("correct", "clear")
STEPS, SIZE, FRAMES = 3, 16, 60
_PIPE_BYTES = 2**20


def create_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, what in (
        ("kills", "runs that are killed or interrupted at random moments, and continued"),
        ("ranks", "runs of 2 or 4 processes, one of which is killed, and continued on another number of them"),
        ("disk", "runs whose files may not grow beyond a random size, and continued"),
        ("flips", "checkpoints, caches and data files with one flipped bit"),
        ("truncations", "checkpoints, caches and data files that are cut off or end in zeros"),
        ("settings", "runs with settings drawn at random, sensible or not"),
    ):
        parser.add_argument(f"--{name}", type=int, default=0, metavar="N", help=what)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", default=[], metavar="ROUND:NUMBER", help="these trials alone")
    parser.add_argument(
        "--folder", default=None, help="where to work (default: a temporary folder, removed at the end)"
    )
    parser.add_argument("--processes", choices=("fork", "new"), default="fork")
    parser.add_argument("--timeout", type=float, default=300, metavar="SECONDS", help="of one command (default: 300)")
    return parser


# commands in processes of their own


@dataclass
class Ended:
    """How a command ended.

    Attributes:
        status: negative: the signal; None: it did not end.
        text: what it printed.
        after_kill: seconds from the kill to the end of the last of its processes; None if nothing was killed.
    """

    status: int | None
    text: str
    seconds: float
    after_kill: float | None = None

    @property
    def errors(self) -> list[str]:
        return [line for line in self.text.splitlines() if "error: " in line]


def _child(tool: str, words: list[str], output: int, file_size: int | None):
    os.setsid()
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.stdout, sys.stderr = (io.TextIOWrapper(io.FileIO(k, "wb"), write_through=True) for k in (1, 2))
    if file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    sys.argv = [f"tools/{tool}.py", *words]
    runpy.run_path(str(TOOLS / f"{tool}.py"), run_name="__main__")


class Commands:
    """Starts commands, and kills them."""

    def __init__(self, processes: str, timeout: float):
        self.processes, self.timeout = processes, timeout

    def run(
        self,
        tool: str,
        words,
        *,
        kill: tuple[float, int] | None = None,
        rank: int | None = None,
        file_size: int | None = None,
        launcher: tuple[str, ...] | None = None,
    ) -> Ended:
        """Runs ``tools/<tool>.py``.

        Args:
            kill: seconds to wait before a signal is sent, and the signal.
            rank: which of the processes that train together it is sent to; the one that was started, if not given.
            file_size: bytes that no file may grow beyond.
            launcher: words between the interpreter and the tool. With them an interpreter is started.
        """
        reading, writing = os.pipe()  # not a file: its size would be limited too
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        begin = time.monotonic()
        process = self._start(tool, [str(word) for word in words], writing, file_size, launcher)
        os.close(writing)
        others, after_kill = set(), None
        if kill is not None:
            process.join(kill[0])
            others, victim = descendants(process.pid), process.pid if rank is None else rank_of(process.pid, rank)
            if process.is_alive() and victim is not None:
                os.kill(victim, kill[1])
                killed_at = time.monotonic()
                process.join(self.timeout)
                while any(map(runs, others)) and time.monotonic() - killed_at < self.timeout:
                    time.sleep(0.02)
                after_kill = time.monotonic() - killed_at
        process.join(self.timeout)
        status = process.exitcode
        for end, number in ((os.killpg, process.pid), *((os.kill, other) for other in others)):
            with contextlib.suppress(ProcessLookupError):
                end(number, signal.SIGKILL)  # whatever it has left behind
        process.join()
        os.set_blocking(reading, False)
        with open(reading, "rb") as output:
            text = (output.read() or b"").decode(errors="replace")
        return Ended(status, text, time.monotonic() - begin, after_kill)

    def _start(self, tool, words, output, file_size, launcher):
        if self.processes == "fork" and launcher is None:
            process = multiprocessing.get_context("fork").Process(target=_child, args=(tool, words, output, file_size))
            process.start()
            return process

        def limit():
            if file_size is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))

        return _Started(
            [sys.executable, *(launcher or ()), str(TOOLS / f"{tool}.py"), *words],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=limit,
        )


def _parents() -> dict[int, int]:
    """The parent of every process that runs."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state not in "ZX":
                found[int(folder.name)] = int(parent)
    return found


def runs(process: int) -> bool:
    return process in _parents()


def descendants(process: int) -> set[int]:
    parents, found = _parents(), {process}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {process}


def rank_of(launcher: int, rank: int) -> int | None:
    """The process ``rank`` of those that ``launcher``, torchrun or Lightning's process 0, has started; None before."""
    for child, parent in _parents().items():
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
            if parent == launcher and b"LOCAL_RANK=%d" % rank in words:
                return child
    return (
        launcher
        if rank == 0 and b"torch.distributed.run" not in Path(f"/proc/{launcher}/cmdline").read_bytes()
        else None
    )


class _Started(subprocess.Popen):
    """With the names of :class:`multiprocessing.Process`."""

    exitcode = property(lambda self: self.poll())

    def is_alive(self):
        return self.poll() is None

    def join(self, timeout=None):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(timeout)


# what is tortured: a small run on small data


@dataclass
class World:
    """Data, an undisturbed run on them, and what it gave."""

    folder: Path
    commands: Commands
    series: Path = field(init=False)
    reference: dict = field(init=False)
    seconds: float = field(init=False)
    undisturbed: dict[str, tuple[float, float]] = field(default_factory=dict)  # of several processes: time, score
    ends: list[float] = field(default_factory=list)  # seconds from a killed process to the end of all

    def __post_init__(self):
        t, y, x = np.ogrid[:FRAMES, :SIZE, :SIZE]
        noise = np.random.default_rng(0).standard_normal((FRAMES, SIZE, SIZE))
        self.values = (np.sin(t / 5 + y / 3 + x / 4) + 0.1 * noise).astype(np.float32)
        self.series = self.folder / "series.npy"
        np.save(self.series, self.values)

    def words(self, name: str, *options: str, epochs: int = 3) -> list[str]:
        flags = (
            f"-d custom --data_root {self.series} -m simvp_svq --res_dir {self.folder / 'runs'} --ex_name {name} "
            f"--epoch {epochs} --batch_size 8 --val_batch_size 8 --num_workers 2 --accelerator cpu --sched cosine "
            f"--pre_seq_length {STEPS} --aft_seq_length {STEPS} --drop_path 0.1 --noise_ratio 0.1"
        ).split()
        shape = f"in_shape=[{STEPS},1,{SIZE},{SIZE}]"
        sizes = ["hid_S=4", "hid_T=8", "N_S=2", "N_T=2", "quantizer_kwargs.codebook_size=16"]
        return [*flags, "--cfg_options", shape, *sizes, *options]

    def run_folder(self, name: str) -> Path:
        return self.folder / "runs" / name

    def train_undisturbed(self):
        """The run that all others are compared with, and the time that it takes."""
        ended = self.commands.run("train", self.words("reference"))
        if ended.status != 0:
            raise RuntimeError(f"the undisturbed run failed:\n{ended.text}")
        self.reference, self.seconds = self.answer("reference"), ended.seconds

    def answer(self, name: str) -> dict:
        """Scores and weights of a run."""
        from openstl_svq.training import checkpoint

        folder = self.run_folder(name)
        weights = {
            f"{file} {key}": value.numpy()
            for file in ("best", "last")
            for key, value in checkpoint.load(folder / "checkpoints" / f"{file}.ckpt")["state_dict"].items()
        }
        return {"scores": json.loads((folder / "metrics.json").read_text())["scores"], **weights}

    def forget(self, name: str):
        for folder in (self.folder / "runs").glob(f"{name}*"):
            shutil.rmtree(folder)


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) if k != "scores" else a[k] == b[k] for k in a)


def judged(ended: Ended, names: tuple[str, ...]) -> tuple[str, str] | None:
    """What a command that was refused comes to; None where its status is 0."""
    if ended.status == 0:
        return None
    if "Traceback (most recent call last)" in ended.text:
        return "traceback", ended.text[-1500:]
    if ended.status is None or ended.status < 0:
        return "unclear", f"status {ended.status}: {ended.text[-500:]}"
    message = ended.errors[-1] if ended.errors else ended.text.strip()[-500:]
    if ended.errors and any(name.lower() in message.lower() for name in names):
        return "clear", message
    return "unclear", f"status {ended.status}: {message}"


# the rounds: each yields (outcome, detail) for one trial


def continued(world: World, name: str) -> tuple[str, str]:
    """Goes on with a run that was stopped, and compares its end with the undisturbed one's."""
    had = (world.run_folder(name) / "checkpoints" / "last.ckpt").is_file()
    if not had:
        world.forget(name)
    again = world.commands.run("train", ["--resume", world.run_folder(name)] if had else world.words(name))
    if again.status != 0:
        return "lost", f"{'resume' if had else 'restart'} failed with status {again.status}: {again.text[-1500:]}"
    if left := [p.name for p in world.run_folder(name).rglob("*") if "partial" in p.name]:
        return "unclear", f"files left behind: {left}"
    if not same(world.answer(name), world.reference):
        return "silently wrong", f"{'resumed' if had else 'restarted'}, and ended with other weights or scores"
    return "correct", ""


def kill(world: World, draw: random.Random, number: int) -> tuple[str, str]:
    name, chosen = f"kill{number}", draw.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
    moment = draw.uniform(0, world.seconds)
    ended = world.commands.run("train", world.words(name), kill=(moment, chosen))
    try:
        if ended.status == 0:  # it was over before
            answer = world.answer(name)
            return ("correct", "") if same(answer, world.reference) else ("silently wrong", "another answer")
        # The last words of workers whose parent was killed outright are nobody's to mend.
        if chosen != signal.SIGKILL and "Traceback (most recent call last)" in ended.text:
            return "traceback", f"{chosen.name} after {moment:.2f} s: {ended.text[-1500:]}"
        if chosen != signal.SIGKILL and ended.status is None:
            return "unclear", f"{chosen.name} after {moment:.2f} s did not end it"
        outcome, detail = continued(world, name)
        return outcome, f"{chosen.name} after {moment:.2f} s: {detail}"
    finally:
        world.forget(name)


_TORCHRUN = ("-m", "torch.distributed.run")


def rank(world: World, draw: random.Random, number: int) -> tuple[str, str]:
    """The others must end within a minute, with a message; the run goes on with another number of processes."""
    processes, torchrun = draw.choice((2, 4)), draw.random() < 0.5
    victim, other, share = draw.randrange(processes), draw.choice((1, 2, 4)), draw.random()

    def train(name, count, *words, **options):
        launcher = (*_TORCHRUN, f"--nproc-per-node={count}") if torchrun and count > 1 else ()
        gpus = ["--gpus", *map(str, range(count)), "--total_batch_size", "8"]
        alike = ["--noise_ratio", "0", "--drop_path", "0"]  # what is drawn differs between processes
        given = words or world.words(name, "split=[0.5,0.25,0.25]")
        return world.commands.run("train", [*given, *gpus, *alike], launcher=launcher, **options)

    def score(name):
        scores = json.loads((world.run_folder(name) / "metrics.json").read_text())["scores"]
        return scores["model"]["mse"]

    case = f"{processes}{' of torchrun' if torchrun else ''}"
    if case not in world.undisturbed:
        ended = train("whole", processes)
        if ended.status != 0:
            return "lost", f"{case} processes, undisturbed: {ended.text[-1500:]}"
        world.undisturbed[case] = ended.seconds, score("whole")
        world.forget("whole")
    seconds, expected = world.undisturbed[case]
    name, moment = f"rank{number}", share * seconds
    shown = f"process {victim} of {case} after {moment:.1f} s of {seconds:.1f}"
    try:
        ended = train(name, processes, kill=(moment, signal.SIGKILL), rank=victim)
        if ended.after_kill is None:
            return ("correct", "") if ended.status == 0 else ("unclear", f"{shown}: {ended.text[-1500:]}")
        shown += f", all ended {ended.after_kill:.1f} s later"
        world.ends.append(ended.after_kill)
        if ended.after_kill > 60 or ended.status is None:
            return "unclear", shown
        if ended.status == 0:  # it was done
            return "correct", shown
        if len(ended.errors) > 1:
            return "unclear", f"{shown}: {ended.errors}"
        trained = (world.run_folder(name) / "checkpoints").exists()  # before, there is nobody to be waited for
        if trained and not any("has died" in line and ("--resume" in line or "again" in line) for line in ended.errors):
            return "unclear", f"{shown}: {ended.text[-1500:]}"
        had = (world.run_folder(name) / "checkpoints" / "last.ckpt").is_file()
        if not had:
            world.forget(name)
        again = train(name, other, *(("--resume", world.run_folder(name)) if had else ()))
        if again.status != 0:
            return "lost", f"{shown}; on {other}: {again.text[-1500:]}"
        if abs(score(name) / expected - 1) > 1e-3:
            return "silently wrong", f"{shown}; on {other}, mse {score(name)}, not {expected}"
        return "correct", shown
    finally:
        world.forget(name)


def disk(world: World, draw: random.Random, number: int) -> tuple[str, str]:
    """On a file system of that size where one may be mounted; else with a limit on the size of every file."""
    name, size = f"disk{number}", int(10 ** draw.uniform(3.6, 6))
    runs = world.folder / "runs"
    small = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(runs)], capture_output=True)
    limited = small.returncode != 0
    try:
        ended = world.commands.run("train", world.words(name), file_size=size if limited else None)
        if not limited:
            subprocess.run(["mount", "-o", "remount,size=1g", str(runs)], check=True)
        if ended.status == 0:
            answer = world.answer(name)
            return ("correct", "") if same(answer, world.reference) else ("silently wrong", f"{size} bytes")
        found = judged(ended, (name, "disk", "File too large", "written"))
        if found[0] != "clear":
            return found[0], f"{size} bytes: {found[1]}"
        outcome, detail = continued(world, name)
        return ("clear" if outcome == "correct" else outcome), f"{size} bytes: {detail}"
    finally:
        world.forget(name)
        if not limited:
            subprocess.run(["umount", str(runs)], check=True)


# damaged files


@dataclass
class Subject:
    """A file, and what is read of it.

    Attributes:
        read: gives what must be equal, of the file as it is now.
        summed: the format keeps check sums of all that is read, so a flipped bit can be known.
    """

    path: Path
    read: Callable[[], object]
    summed: bool
    content: bytes = field(init=False)
    good: object = field(init=False)

    def __post_init__(self):
        self.content, self.good = self.path.read_bytes(), self.read()

    def damaged(self, content: bytes, what: str) -> tuple[str, str]:
        self.path.write_bytes(content)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = self.read()
        except (ValueError, OSError) as error:
            clear = self.path.name in str(error)
            return ("clear" if clear else "unclear"), f"{self.path.name}, {what}: {type(error).__name__}: {error}"
        except Exception:
            return "traceback", f"{self.path.name}, {what}: {traceback.format_exc()[-1500:]}"
        finally:
            self.path.write_bytes(self.content)
        if equal(found, self.good):
            return "correct", ""
        return "silently wrong", f"{self.path.name}, {what}"


def equal(a, b) -> bool:
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    return np.array_equal(a, b)


def subjects(world: World) -> list[Subject]:
    """A checkpoint, a cache, and data files of every format."""
    import imageio.v3 as iio
    import xarray as xr

    import openstl_svq
    from openstl_svq.data import load_data
    from openstl_svq.data.cache import ENVIRONMENT

    folder, values = world.folder / "files", world.values
    folder.mkdir()
    os.environ[ENVIRONMENT] = str(folder / "cache")
    checkpoint = folder / "best.ckpt"
    shutil.copy(world.run_folder("reference") / "checkpoints" / "best.ckpt", checkpoint)
    frames = values[:STEPS, None]

    def forecast():
        return openstl_svq.load(checkpoint).predict(frames)

    def windows(path: Path, channels: int = 1):
        def read():
            loaders = load_data(
                "custom",
                8,
                8,
                0,
                path,
                in_shape=[STEPS, channels, SIZE, SIZE],
                pre_seq_length=STEPS,
                aft_seq_length=STEPS,
                val_fraction=0.1,
            )
            return [
                [np.asarray(part) for k in range(len(loader.dataset)) for part in loader.dataset[k]]
                for loader in loaders
            ]

        return read

    times = np.datetime64("2001-01-01") + np.arange(FRAMES) * np.timedelta64(6, "h")
    data = xr.Dataset(
        {"t2m": (("time", "lat", "lon"), values)},
        {"time": times, "lat": np.linspace(-60, 60, SIZE), "lon": np.arange(SIZE) * 5.0},
    )
    np.savez_compressed(folder / "packed.npz", frames=values)
    np.save(folder / "plain.npy", values)
    packed = {"t2m": {"zlib": True, "fletcher32": True}}
    data.to_netcdf(folder / "packed.nc", encoding=packed, engine="netcdf4")
    for name, kind in (
        ("classic.nc", "NETCDF3_CLASSIC"),
        ("offset.nc", "NETCDF3_64BIT"),
        ("cdf5.nc", "NETCDF3_64BIT_DATA"),
    ):
        data.to_netcdf(folder / name, format=kind, engine="netcdf4", encoding={"time": {"dtype": "float64"}})
    images = folder / "images"
    images.mkdir()
    for k, image in enumerate(((values - values.min()) / np.ptp(values) * 255).astype(np.uint8)):
        iio.imwrite(images / f"frame-{k:03d}.png", image)
    of_images = windows(images)
    of_images()
    (cache,) = (folder / "cache").glob("*.npy")

    def image_alone():
        for made in (folder / "cache").glob("*"):
            made.unlink()
        return of_images()

    return [
        Subject(checkpoint, forecast, summed=True),
        Subject(cache, of_images, summed=True),
        Subject(folder / "packed.npz", windows(folder / "packed.npz"), summed=True),
        Subject(images / "frame-007.png", image_alone, summed=True),
        *(
            Subject(folder / name, windows(folder / name), summed=False)
            for name in ("plain.npy", "packed.nc", "classic.nc", "offset.nc", "cdf5.nc")
        ),
    ]


def flip(subject_list: list[Subject], draw: random.Random, number: int) -> tuple[str, str]:
    """Half of the flips fall on the checkpoint, a quarter on the cache: what this package has written."""
    summed = [s for s in subject_list if s.summed]
    subject = draw.choices(summed, weights=[2, 1, *[1 / (len(summed) - 2)] * (len(summed) - 2)])[0]
    bit = draw.randrange(8 * len(subject.content))
    changed = bytearray(subject.content)
    changed[bit // 8] ^= 1 << bit % 8
    return subject.damaged(bytes(changed), f"bit {bit}")


def truncate(subject_list: list[Subject], draw: random.Random, number: int) -> tuple[str, str]:
    subject, size = draw.choice(subject_list), None
    size = len(subject.content)
    # Near the end as often as anywhere: a short cut is the easiest to overlook.
    cut = draw.choice((draw.randrange(1, size + 1), draw.randrange(1, min(size, 300) + 1)))
    if draw.random() < 0.5:
        return subject.damaged(subject.content[:-cut], f"{cut} bytes cut off")
    if subject.content.endswith(bytes(cut)):
        return "correct", ""
    if not subject.summed:
        return subject.damaged(subject.content[:-cut], f"{cut} bytes cut off")
    return subject.damaged(subject.content[:-cut] + bytes(cut), f"the last {cut} bytes zero")


# settings

# What may be given, and what is nonsense whatever else is given: written down here, not taken from the package, so that
# a check that the package lacks is seen.
_WORDS = ("'abc'", "[1,2]", "{'a':1}", "''", "None")
_POSITIVE_INT = {"good": ("1", "2", "4"), "nonsense": ("0", "-1", "2.5", "True", "nan", "inf", *_WORDS)}
_COUNT = {"good": ("0", "1", "2"), "nonsense": ("-1", "0.5", "nan", "True", *_WORDS[:4])}
_RATE = {"good": ("0.0", "0.1", "0.5"), "nonsense": ("-0.1", "1.5", "nan", "inf", *_WORDS[:4])}
_POSITIVE = {"good": ("1e-4", "0.001", "0.01"), "nonsense": ("0", "-1", "nan", "inf", *_WORDS)}
_NOT_NEGATIVE = {"good": ("0.0", "1e-6", "1e-4"), "nonsense": ("-1", "nan", "inf", *_WORDS[:4])}
_SWITCH = {"good": ("True", "False"), "nonsense": ("'no'", "2", "[]", "'abc'", "0.5")}


def _choice(*good: str) -> dict:
    return {"good": tuple(map(repr, good)), "nonsense": ("'abc'", "1", "[]", "{}", "''", "True", repr(good[0][:-1]))}


SETTINGS = {
    "batch_size": _POSITIVE_INT,
    "val_batch_size": _POSITIVE_INT,
    "epoch": {"good": ("1", "2"), "nonsense": _POSITIVE_INT["nonsense"]},
    "pre_seq_length": {  # in_shape has three, which an unset one follows
        "good": (str(STEPS), "None"),
        "nonsense": ("4", *_POSITIVE_INT["nonsense"][:-1]),
    },
    "aft_seq_length": {"good": ("1", "3", "5"), "nonsense": _POSITIVE_INT["nonsense"]},
    "num_workers": {"good": ("0", "1"), "nonsense": _COUNT["nonsense"]},
    "patience": _COUNT,
    "seed": {"good": ("0", "1", "123456"), "nonsense": _COUNT["nonsense"]},
    "usage_interval": _COUNT,
    "log_step": {"good": ("1",), "nonsense": _POSITIVE_INT["nonsense"]},
    "warmup_epoch": {"good": ("0", "1"), "nonsense": ("-1", "99", *_WORDS[:4])},
    "decay_epoch": {"good": ("1", "100"), "nonsense": ("0", "-1", "nan", *_WORDS[:4])},
    "decay_rate": {"good": ("0.1", "0.5"), "nonsense": ("-1", "nan", *_WORDS[:4])},
    "lr": _POSITIVE,
    "weight_decay": _NOT_NEGATIVE,
    "warmup_lr": _NOT_NEGATIVE,
    "min_lr": _NOT_NEGATIVE,
    "clip_grad": {"good": ("1.0", "0.1", "None"), "nonsense": ("-1", "nan", *_WORDS[:4])},
    "clip_mode": _choice("norm", "value"),
    "momentum": {"good": ("0.9", "0.5"), "nonsense": ("-1", "1.5", "nan", *_WORDS[:4])},
    "opt": _choice("adam", "adamw", "sgd"),
    "opt_eps": {"good": ("1e-8", "None"), "nonsense": ("-1", "nan", *_WORDS[:4])},
    "opt_betas": {
        "good": ("[0.9,0.99]", "None"),
        "nonsense": ("[0.9]", "[2,3]", "[nan,0.9]", "0.9", "'abc'", "['a','b']"),
    },
    "sched": _choice("cosine", "onecycle", "step"),
    "noise_ratio": _RATE,
    "drop": _RATE,
    "drop_path": {"good": ("0.0", "0.2"), "nonsense": _RATE["nonsense"]},
    "val_fraction": {"good": ("0.1", "0.2"), "nonsense": ("0", "1", "-0.1", "2", "nan", *_WORDS)},
    "loss": _choice("mae", "mse", "huber"),
    "quantizer": {"good": ("'svq'", "'mlp'", "'vq'"), "nonsense": ("'svk'", "1", "[]", "''", "None", "True")},
    "quantizer_kwargs": {
        "good": ("{}", "{'codebook_size':8}"),
        "nonsense": ("False", "1", "'abc'", "[]", "{'codebook_size':0}", "{'codebook_size':'x'}", "{'nothing':1}"),
    },
    "quant_position": _choice("before", "after", "none"),
    "metric_for_bestckpt": _choice("val_loss"),
    "metrics": {
        "good": ("['mse']", "['mse','mae','rmse']"),
        "nonsense": ("'mse'", "['abc']", "[1]", "None", "5", "{}"),
    },
    "precision": {"good": ("'32'", "32", "'bf16-mixed'"), "nonsense": ("'31'", "7", "[]", "'abc'", "{}")},
    "accelerator": {"good": ("'cpu'",), "nonsense": ("'abc'", "1", "[]", "''")},
    "strategy": {"good": ("'auto'",), "nonsense": ("'abc'", "1", "[]", "''")},
    "protocol": {"good": ("'strict'",), "nonsense": ("'abc'", "'strict+'", "1", "[]", "''", "None")},
    "gpus": {"good": ("[0]",), "nonsense": ("'ab'", "[]", "[-1]", "['a']", "0.5", "None", "[0,0]")},
    "num_nodes": {"good": ("1",), "nonsense": _POSITIVE_INT["nonsense"]},
    "fp16": {"good": ("False",), "nonsense": _SWITCH["nonsense"]},
    "deterministic": _SWITCH,
    "drop_last": {"good": ("False",), "nonsense": _SWITCH["nonsense"]},
    "use_augment": _SWITCH,
    "fps": {"good": ("False",), "nonsense": _SWITCH["nonsense"]},
    "no_display_method_info": _SWITCH,
    "filter_bias_and_bn": _SWITCH,
    "dist": {"good": ("False",), "nonsense": _SWITCH["nonsense"]},
    "in_shape": {
        "good": (f"[{STEPS},1,{SIZE},{SIZE}]",),
        "nonsense": ("[3,1,16]", "3", "'abc'", "[]", "[3,1,-16,16]", "[3,1,16.5,16]", "[9,1,16,16]", "[3,2,16,16]"),
    },
    "hid_S": {"good": ("2", "4", "8"), "nonsense": _POSITIVE_INT["nonsense"]},
    "hid_T": {"good": ("8", "16"), "nonsense": _POSITIVE_INT["nonsense"]},
    "N_S": {"good": ("2", "4"), "nonsense": _POSITIVE_INT["nonsense"]},
    "N_T": {"good": ("2", "3"), "nonsense": _POSITIVE_INT["nonsense"]},
    "model_type": _choice("gSTA", "IncepU", "convnext"),
    "spatio_kernel_enc": {"good": ("3", "5"), "nonsense": ("0", "-3", "2", *_WORDS[:4])},
    "split": {"good": ("[0.6,0.2,0.2]",), "nonsense": ("[1,1]", "'abc'", "[0,0,0]", "[-1,1,1]", "5")},
    "normalise": {"good": ("'standard'", "'minmax'", "'none'"), "nonsense": ("'abc'", "1", "[]", "True")},
    "ex_name": {
        "good": ("'a'", "'a/b'"),
        "nonsense": ("'../out'", "'/tmp/openstl_svq_outside'", "''", "'.'", "1", "[]"),
    },
    "res_dir": {"good": (), "nonsense": ("''", "5", "[]", "None")},
    "data_root": {"good": (), "nonsense": ("''", "5", "[]", "None", "'/nowhere'")},
    "method": {"good": ("'simvp'", "'tau_svq'"), "nonsense": ("'abc'", "1", "''", "None", "[]")},
    "dataname": {"good": (), "nonsense": ("'abc'", "1", "''", "None", "[]")},
    "nonsense_key": {"good": (), "nonsense": ("1", "'a'")},
    "test": {"good": (), "nonsense": ("'no'", "2")},
    "resume": {"good": (), "nonsense": ("''", "'/nowhere'", "5", "[]")},
    "ckpt_path": {"good": (), "nonsense": ("'/nowhere'", "5", "[]")},
}


def drawn_settings(draw: random.Random) -> tuple[dict[str, str], list[str]]:
    """One to three settings as text, and which of them are nonsense."""
    chosen, nonsense = {}, []
    for key in draw.sample(sorted(SETTINGS), draw.randint(1, 3)):
        kind = "nonsense" if not SETTINGS[key]["good"] or draw.random() < 0.5 else "good"
        chosen[key] = draw.choice(SETTINGS[key][kind])
        nonsense += [key] if kind == "nonsense" else []
    return chosen, nonsense


def setting(world: World, draw: random.Random, number: int) -> tuple[str, str]:
    """Settings come from the command line or from a configuration file."""
    chosen, nonsense = drawn_settings(draw)
    name = f"setting{number}"
    words = world.words(name, epochs=1)
    if draw.random() < 0.5:
        words += [f"{key}={text}" for key, text in chosen.items()]
    else:
        file = world.folder / f"{name}.py"
        numbers = {"nan": "float('nan')", "inf": "float('inf')"}
        lines = [f"{key} = {numbers.get(text, text)}" for key, text in chosen.items()]
        file.write_text("\n".join(lines) + "\n")
        # The file must win over what the command line sets.
        words += ["--config_file", str(file), "--overwrite"]

    ended = world.commands.run("train", words)
    shown = f"{chosen}{' in a file' if '--config_file' in words else ''}"
    try:
        values = [text.strip("'") for text in chosen.values()]
        found = judged(ended, (*chosen, *(value for value in values if len(value) > 2), "dataset"))
        if found is not None:
            return found[0], f"{shown}: {found[1]}"
        if nonsense:
            return "silently wrong", f"{shown}: {', '.join(nonsense)} taken"
        return "correct", ""
    finally:
        shutil.rmtree(world.folder / "runs" / "a", ignore_errors=True)
        world.forget(name)


# the whole


@dataclass
class Tally:
    """Outcomes of one round, and what went wrong."""

    count: Counter = field(default_factory=Counter)
    seconds: float = 0.0


def table(tallies: dict[str, Tally]) -> str:
    """A row for each round, in Markdown."""
    lines = [f"| round | tried | {' | '.join(OUTCOMES)} | seconds |", f"|---|{'---:|' * (len(OUTCOMES) + 2)}"]
    for name, tally in tallies.items():
        counts = " | ".join(str(tally.count[outcome]) for outcome in OUTCOMES)
        lines.append(f"| {name} | {tally.count.total()} | {counts} | {tally.seconds:.0f} |")
    return "\n".join(lines)


def torture(args: argparse.Namespace, folder: Path) -> dict[str, Tally]:
    """Runs what ``args`` asks for in ``folder``, and says what went wrong as it happens.

    SIGTERM and Ctrl-C end it with what has been tried by then.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    import openstl_svq.training.experiment  # noqa: F401  once, before anything is forked

    wanted: dict[str, list[int]] = {}
    for name in ("kills", "ranks", "disk", "flips", "truncations", "settings"):
        only = [int(word.partition(":")[2]) for word in args.only if word.partition(":")[0] == name]
        wanted[name] = only or (list(range(getattr(args, name))) if not args.only else [])
    world = World(folder, Commands(args.processes, args.timeout))
    if any(wanted[name] for name in wanted if name not in ("settings", "ranks")):
        world.train_undisturbed()
    files = subjects(world) if wanted["flips"] or wanted["truncations"] else []
    trials = {
        "kills": lambda draw, k: kill(world, draw, k),
        "ranks": lambda draw, k: rank(world, draw, k),
        "disk": lambda draw, k: disk(world, draw, k),
        "flips": lambda draw, k: flip(files, draw, k),
        "truncations": lambda draw, k: truncate(files, draw, k),
        "settings": lambda draw, k: setting(world, draw, k),
    }
    tallies: dict[str, Tally] = {}
    with contextlib.suppress(KeyboardInterrupt):
        for name, numbers in wanted.items():
            begin = time.monotonic()
            for number in numbers:
                outcome, detail = trials[name](random.Random(f"{args.seed} {name} {number}"), number)
                tally = tallies.setdefault(name, Tally())
                tally.count[outcome] += 1
                tally.seconds = time.monotonic() - begin
                if outcome not in GOOD or args.only:
                    print(f"{name}:{number}: {outcome}: {detail}", flush=True)
    if world.ends:
        print(
            f"from a killed process to the end of all: median {statistics.median(world.ends):.1f} s, at most "
            f"{max(world.ends):.1f} s, of {len(world.ends)}"
        )
    return tallies


def main():
    args = create_parser().parse_args()
    if args.folder:
        Path(args.folder).mkdir(parents=True)
        tallies = torture(args, Path(args.folder).resolve())
    else:
        with tempfile.TemporaryDirectory() as folder:
            tallies = torture(args, Path(folder))
    print(table(tallies))
    if any(tally.count[outcome] for tally in tallies.values() for outcome in OUTCOMES if outcome not in GOOD):
        sys.exit(1)


if __name__ == "__main__":
    main()
