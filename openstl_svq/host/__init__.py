"""Where OpenSTL's names come from: the real OpenSTL, or this package's own implementation of the part SimVP needs.

``OPENSTL_SVQ_HOST=auto|openstl|builtin`` decides; ``auto`` (the default) takes the real one if it is installed. All
other code imports OpenSTL's names from here and never asks which host it is.

The package that PyPI calls ``openstl`` is a 3D-mesh library of other people; it is recognised and passed over.
"""

import os
import warnings
from dataclasses import dataclass

from .. import __version__
from ..config_file import load_config
from ..naming import choose
from . import openstl as _openstl

NAMES = (
    "Base_method",
    "SimVP",
    "TAU",
    "SimVP_Model",
    "method_maps",
    "dataset_parameters",
    "load_data",
    "create_parser",
    "get_optim_scheduler",
    "metric",
)
INSTALL = _openstl.INSTALL

_ABOUT_THE_HOST = ("LOADER_KEYS", "METHOD_KEYS", "example_input")

__all__ = [*NAMES, *_ABOUT_THE_HOST, "HostDescription", "describe", "load_config"]


@dataclass(frozen=True)
class HostDescription:
    """Which host runs: ``name`` (``openstl`` or ``builtin``), its ``version``, where it lies, and why it was chosen."""

    name: str
    version: str
    path: str
    reason: str

    def __str__(self):
        return f"host: {self.name} {self.version} ({self.reason})"


def _choose() -> tuple[HostDescription, object]:
    wanted = choose("OPENSTL_SVQ_HOST", os.environ.get("OPENSTL_SVQ_HOST", "auto"), ("auto", "openstl", "builtin"))
    if wanted != "builtin":
        found = _openstl.find()
        if found is not None and found.kind == "real":
            reason = "OPENSTL_SVQ_HOST=openstl" if wanted == "openstl" else "the real OpenSTL is installed"
            return HostDescription("openstl", found.version, found.path, reason), _openstl.load()
        why = "OpenSTL is not installed" if found is None else found.reason
        if wanted == "openstl":
            raise ImportError(
                f"OPENSTL_SVQ_HOST=openstl, but {why}. Install the real OpenSTL with\n    {INSTALL}\n"
                "or unset OPENSTL_SVQ_HOST to run on the built-in host."
            )
        if found is not None:
            warnings.warn(f"{why}; the built-in host runs. For the real OpenSTL: {INSTALL}", stacklevel=2)
    else:
        why = "OPENSTL_SVQ_HOST=builtin"

    from .builtin import provide

    return HostDescription("builtin", __version__, os.path.dirname(provide.__file__), why), provide


_DESCRIPTION, _HOST = _choose()
for _name in (*NAMES, *_ABOUT_THE_HOST):
    globals()[_name] = getattr(_HOST, _name)


# What OpenSTL's Lightning branch has and the built-in host has not.
_OF_OPENSTL_ALONE = {
    "method": ("mmvp", "swinlstm", "swinlstm_b", "swinlstm_d", "wast"),
    "dataset": ("bair", "kinetics", "kinetics400", "kinetics600"),
}


def only_in_openstl(what: str, name: str) -> str:
    """A sentence for a ``method`` or ``dataset`` that the other host has; nothing for any other."""
    if _DESCRIPTION.name != "builtin" or str(name).lower() not in _OF_OPENSTL_ALONE[what]:
        return ""
    return f" The real OpenSTL has the {what} {name}: install it ({INSTALL}), and this package runs inside it."


def describe() -> HostDescription:
    """Which host runs, for a program; ``str()`` of it is the line that a run prints."""
    return _DESCRIPTION
