"""Plug-ins: modules and files that register methods, quantizers, datasets or metrics of somebody else.

Installed packages name theirs as an entry point of the group ``openstl_svq.plugins``; they are imported once, before a
run starts. A run may name others (``plugins``, ``--plugins``), and a configuration file may register something itself
or import what does. What a run uses of these is kept in its configuration, so that testing it, forecasting with it and
``openstl_svq.load`` find it again where that is allowed (``--allow_code``, ``allow_code=True``). Only names of modules
and files are kept: no code stands in a checkpoint.
"""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

GROUP = "openstl_svq.plugins"

_reading: list[str] = []  # modules and files that are being run, innermost last
_providers: dict[tuple[str, str], str] = {}  # (what, name) -> the module or file that registered it


def registered(what: str, name: str) -> None:
    """Notes which plug-in has registered ``name``; every registry calls it."""
    if _reading:
        _providers[what, name] = _reading[-1]


@contextmanager
def reading(source: str) -> Iterator[None]:
    """While it lasts, what is registered comes from ``source``, a module or the path of a file."""
    _reading.append(source)
    try:
        yield
    finally:
        _reading.pop()


@cache
def load_installed() -> None:
    """Imports the plug-ins of installed packages; a second call does nothing.

    Raises:
        ImportError: one of them cannot be imported; the message names it.
    """
    for point in entry_points(group=GROUP):
        try:
            point.load()
        except Exception as error:  # importing somebody's package can fail in any way
            package = f" of the package {point.dist.name}" if point.dist else ""
            raise ImportError(
                f"the plug-in {point.name!r} ({point.value}){package} cannot be imported: {type(error).__name__}: "
                f"{error}. Mend it, or uninstall it."
            ) from error


def load(names: Sequence[str], *, trusted: Sequence[str] | None = None) -> list[str]:
    """Runs plug-ins: names of modules, or paths of ``.py`` files. Returns them, files by their whole path.

    Args:
        trusted: those that may run (default: all). Others are no error where they have run in this process before.

    Raises:
        ImportError: there is no such module or file, it fails, or it registers a name that somebody else has.
        ValueError: one may not run.
    """
    from .config_file import CodeNotAllowed, load_config

    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"plugins must be a list of modules and .py files, got {names!r}.")
    loaded = []
    for name in names:
        is_file = name.endswith(".py")
        source = str(Path(name).expanduser().resolve()) if is_file else name
        if trusted is not None and name not in trusted:
            if source not in _providers.values():
                raise CodeNotAllowed(
                    f"the plug-in {name} is named by a checkpoint or configuration file, and is code that would run on "
                    "this machine. If you trust it, allow it with --allow_code (openstl_svq.load: allow_code=True), or "
                    "give it with --plugins."
                )
            loaded.append(source)
            continue
        try:
            if is_file:
                load_config(source, code="any")
            else:
                with reading(source):
                    importlib.import_module(source)
        except Exception as error:  # running somebody's code can fail in any way
            raise ImportError(
                f"the plug-in {name} cannot be loaded: {str(error).rstrip('.')}. A run that was trained with a plug-in needs it where it "
                "was, and no other of its names."
            ) from error
        loaded.append(source)
    return loaded


def used_by(config: Mapping[str, Any]) -> list[str]:
    """The plug-ins that registered what a resolved configuration names."""
    names = [("method", config["method"]), ("dataset", config["dataname"]), ("quantizer", config["quantizer"])]
    names += [("loss", config["loss"])]
    names += [("metric", name) for name in config["metrics"]]
    return list(dict.fromkeys(_providers[key] for key in names if key in _providers))
