"""What the commands share: one message and an exit status for anything that goes wrong, and help in one form.

A command is a file of ``openstl_svq/commands/``. It is run as ``python tools/NAME.py`` in a checkout, and as
``openstl-svq NAME`` wherever the package is installed.
"""

import argparse
import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CONSOLE = "openstl-svq"

# Lightning and torch say these on every run; none of them is about anything that a user of these tools did.
_KNOWN_WARNINGS = (
    ".*does not have many workers.*",
    ".*The `srun` command is available on your system but is not used.*",
    ".*This DataLoader will create .* worker processes in total.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*Experiment logs directory .* exists and is not empty.*",
    ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
    ".*checkpoint that ended before the epoch ended and your dataloader is not resumable.*",  # training.data_module skips
    ".*Grad strides do not match bucket view strides.*",  # of 1 x 1 convolutions, whose channels may be last or not
    ".*Detected call of `lr_scheduler.step\\(\\)` before `optimizer.step\\(\\)`.*",
)

# What this package raises, for users to read.
_WITH_MESSAGE = (ValueError, OSError, ArithmeticError, ImportError, MemoryError)


def _from_console() -> bool:
    return Path(sys.argv[0]).stem == CONSOLE


def words() -> list[str]:
    """The command line without the program's name, and after ``openstl-svq`` without the command's."""
    return sys.argv[2:] if _from_console() else sys.argv[1:]


def program() -> str | None:
    """What the command is called in its help; ``None`` for the file's name."""
    return " ".join([CONSOLE, *sys.argv[1:2]]) if _from_console() else None


def spoken(text: str) -> str:
    """``text`` with commands as the user gave this one: ``openstl-svq NAME`` for ``python tools/NAME.py``."""
    return re.sub(r"(?:python )?\btools/(\w+)\.py\b", rf"{CONSOLE} \1", text) if _from_console() else text


class Parser(argparse.ArgumentParser):
    """Takes :func:`words`, keeps the lines of its description as they are, and shows defaults."""

    def __init__(self, description: str | None = None, **settings: Any):
        settings = {"formatter_class": argparse.RawDescriptionHelpFormatter, **settings}
        super().__init__(description=description and spoken(description), **{"prog": program(), **settings})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        return super().parse_known_args(words() if args is None else args, namespace)

    def format_help(self) -> str:
        show_defaults(self)
        return super().format_help()


def show_defaults(parser: argparse.ArgumentParser) -> None:
    """Writes its default into the help of every flag that has one and does not say so."""
    for action in parser._actions:
        has_one = action.default not in (None, False, "", argparse.SUPPRESS) and action.default not in ([], {})
        if has_one and action.help != argparse.SUPPRESS and "default" not in (action.help or ""):
            shown = " ".join(map(str, action.default)) if isinstance(action.default, (list, tuple)) else action.default
            action.help = f"{action.help or ''} (default: {str(shown).replace('%', '%%')})".strip()


@contextmanager
def quiet() -> Iterator[None]:
    """While it lasts, Lightning says nothing of devices, tips and services, nor what no user has a part in."""
    # Those beside the first are by themselves: importing Lightning sets their parents. Of one epoch timm says that a
    # cosine has no effect.
    names = ["pytorch_lightning", "pytorch_lightning.utilities.rank_zero", "timm.scheduler.cosine_lr"]
    names += [
        f"lightning_fabric.{name}" for name in ("utilities.distributed", "strategies.launchers.subprocess_script")
    ]
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for message in _KNOWN_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR if logger.name.startswith("timm") else logging.WARNING)
            yield
        finally:
            for logger, level in zip(loggers, levels):
                logger.setLevel(level)


def add_launcher_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of ``openstl_svq.sweep.build_launcher``."""
    group = parser.add_argument_group("where the runs run")
    group.add_argument("--launcher", default="local", metavar="NAME", help="local, or slurm: jobs of a cluster")
    group.add_argument(
        "--jobs", type=int, metavar="N", help="local: so many runs at a time, sharing the devices (default: 1)"
    )
    group.add_argument("--partition", metavar="NAME", help="slurm: partition (default: the cluster's)")
    group.add_argument("--time", metavar="TIME", help="slurm: of one job, as in 90 or 1-12:00:00 (default: 60 minutes)")
    group.add_argument("--array_limit", type=int, metavar="N", help="slurm: at most so many jobs at a time")
    group.add_argument(
        "--slurm",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="further settings of sbatch, as in account=x mem=32G",
    )


def main(command: Callable[[], None]) -> None:
    """Runs ``command`` and ends the process.

    Errors that carry a message for the user end with that message and status 1. Set ``OPENSTL_SVQ_DEBUG=1`` for the
    traceback. What `kill`, schedulers and closed terminals send ends it with a line and 128 + the signal's number;
    training has its own way to end.
    """
    for name in ("SIGTERM", "SIGHUP", "SIGUSR1"):
        number = getattr(signal, name, None)  # not all are on Windows
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:  # nohup has SIGHUP ignored
            signal.signal(number, _end_of(os.getpid()))
    try:
        with quiet():
            command()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        if os.environ.get("OPENSTL_SVQ_DEBUG"):
            raise
        text = _of_worker(str(error)) or type(error).__name__
        if not isinstance(error, _WITH_MESSAGE):
            text = f"{type(error).__name__}: {text} (for the traceback: OPENSTL_SVQ_DEBUG=1)"
        sys.exit(f"error: {spoken(text)}")


def _end_of(program: int) -> Callable:
    """A handler of signals that ends ``program`` with a line; its workers end as if there were no handler."""

    def end(number, frame):
        if os.getpid() != program:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        print(f"ended by {signal.Signals(number).name}", file=sys.stderr, flush=True)
        sys.exit(128 + number)

    return end


def _of_worker(text: str) -> str:
    """The message alone where a loader's worker has put its traceback before it."""
    found = re.search(r"\ACaught \w+ in .*Original Traceback.*\n[\w.]+: (.*)\Z", text, flags=re.DOTALL)
    return found[1].strip() if found else text
