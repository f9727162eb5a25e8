"""What the command lines in ``tools/`` share: one message and an exit status for anything that goes wrong."""

import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable

# Lightning and torch say these on every run; none of them is about anything that a user of these tools did.
_KNOWN_WARNINGS = (
    ".*does not have many workers.*",
    ".*This DataLoader will create .* worker processes in total.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*Experiment logs directory .* exists and is not empty.*",
    ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
    ".*checkpoint that ended before the epoch ended and your dataloader is not resumable.*",  # training.data_module skips
    ".*Detected call of `lr_scheduler.step\\(\\)` before `optimizer.step\\(\\)`.*",
)

_WITH_MESSAGE = (ValueError, OSError, ArithmeticError, ImportError)  # what this package raises, for users to read


def words() -> list[str]:
    """The command line without the program's name."""
    return sys.argv[1:]


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
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # which devices there are, tips, advertisements
    for message in _KNOWN_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    try:
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
        sys.exit(f"error: {text}")


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
