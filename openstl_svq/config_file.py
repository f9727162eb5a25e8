"""Configuration files: Python files of ``key = value`` lines, which may inherit from others through ``_base_``.

They may register methods, quantizers, datasets or metrics as well, see :mod:`openstl_svq.plugins`.
"""

import ast
import json
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .plugins import reading


def load_config(filename: str | Path) -> dict[str, Any]:
    """Reads a configuration file into a dictionary.

    The file is Python. Names that start with an underscore, modules, functions and classes are left out.
    ``_base_ = "other.py"`` (or a list of them; relative to the file) is read first and the file's own keys win;
    dictionaries are merged key by key. ``_delete_ = ["key"]`` drops inherited keys.

    Raises:
        FileNotFoundError: the file, or one it inherits from, does not exist.
        ValueError: it is not a ``.py`` file, fails to run, or inherits from itself.
    """
    return _load(Path(filename).expanduser(), chain=())


def _load(path: Path, chain: tuple) -> dict:
    resolved = path.resolve()
    asked_by = f" (inherited by {chain[-1]})" if chain else ""
    if not path.is_file():
        nearby = sorted(p.name for p in path.parent.glob("*.py")) if path.parent.is_dir() else []
        hint = f" In {path.parent} there are: {', '.join(nearby)}." if nearby else ""
        raise FileNotFoundError(f"config file {path} does not exist{asked_by}.{hint} Give an existing one with -c.")
    if path.suffix != ".py":
        raise ValueError(f"config file {path}: only .py files are read, got {path.suffix or 'no ending'!r}.")
    if resolved in chain:
        raise ValueError(f"config file {path} inherits from itself through _base_: {' -> '.join(map(str, chain))}.")

    # As the name of the module, the path tells apart classes of files that are called the same.
    namespace = {"__file__": str(resolved), "__name__": str(resolved)}
    try:
        source = path.read_text(encoding="utf-8")
        with reading(str(resolved)):
            exec(compile(ast.parse(source, filename=str(path)), str(resolved), "exec"), namespace)
    except Exception as error:  # whatever a user's file raises, the message must name the file
        line = getattr(error, "lineno", None)
        where = f", line {line}" if line else ""
        raise ValueError(f"config file {path}{where} cannot be read: {type(error).__name__}: {error}") from error

    own = {
        k: v
        for k, v in namespace.items()
        if not k.startswith("_") and not isinstance(v, (types.ModuleType, types.FunctionType, type))
    }
    bases = namespace.get("_base_", [])
    config: dict = {}
    for base in [bases] if isinstance(bases, str) else bases:
        config = merge(config, _load(path.parent / base, (*chain, resolved)))
    for key in namespace.get("_delete_", []):
        config.pop(key, None)
    return merge(config, own)


def merge(base: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` updated by ``new``; dictionaries in both are merged key by key."""
    both = {k for k in base.keys() & new.keys() if isinstance(base[k], dict) and isinstance(new[k], dict)}
    return {**base, **new, **{k: merge(base[k], new[k]) for k in both}}


def parse_value(text: str) -> Any:
    """A Python literal, also JSON's true/false/null; anything else is the text itself."""
    for read in (ast.literal_eval, json.loads):
        try:
            return read(text)
        except (ValueError, SyntaxError):
            continue
    return text
