"""What the command lines in ``tools/`` share: one message and an exit status for anything that goes wrong."""

import logging
import os
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
    ".*Detected call of `lr_scheduler.step\\(\\)` before `optimizer.step\\(\\)`.*",
)

_WITH_MESSAGE = (ValueError, OSError, ArithmeticError, ImportError)  # what this package raises, for users to read


def words() -> list[str]:
    """The command line without the program's name."""
    return sys.argv[1:]


def main(command: Callable[[], None]) -> None:
    """Runs ``command`` and ends the process.

    Errors that carry a message for the user end with that message and status 1. Set ``OPENSTL_SVQ_DEBUG=1`` for the
    traceback.
    """
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # which devices there are, tips, advertisements
    for message in _KNOWN_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    try:
        command()
    except KeyboardInterrupt:
        sys.exit("interrupted")
    except Exception as error:
        if os.environ.get("OPENSTL_SVQ_DEBUG"):
            raise
        text = str(error) or type(error).__name__
        if not isinstance(error, _WITH_MESSAGE):
            text = f"{type(error).__name__}: {text} (for the traceback: OPENSTL_SVQ_DEBUG=1)"
        sys.exit(f"error: {text}")
