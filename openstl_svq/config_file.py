"""Configuration files: Python files of ``key = value`` lines, which may inherit from others through ``_base_``.

Plain values are read without running the file. What is more than that runs only where that is allowed: in a file that
registers methods, quantizers, datasets or metrics (see :mod:`openstl_svq.plugins`), or with ``--allow_code``.
"""

import ast
import json
import operator
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from .files import refuse_special
from .plugins import reading

Code = Literal["never", "plugins", "any"]

_OPERATORS: dict[type, Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


def packaged_configs() -> Path:
    """The folder of the configurations that come with the package: of an installation, or of a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def find_config(name: str | Path) -> Path:
    """The configuration file that ``name`` means: itself, or one of the packaged ones.

    A packaged one may be named from ``configs/`` on or below it, with or without ``.py``. A file that exists comes first.
    """
    path = Path(name).expanduser()
    if path.is_file() or path.is_absolute():
        return path
    packaged = packaged_configs() / Path(*path.parts[path.parts[:1] == ("configs",) :])
    tried = (packaged, packaged.with_name(f"{packaged.name}.py"))
    return next((file for file in tried if packaged.name and file.is_file()), path)


def load_config(filename: str | Path, code: Code = "never") -> dict[str, Any]:
    """Reads a configuration file into a dictionary.

    ``_base_ = "other.py"`` (or a list of them; relative to the file) is read first and the file's own keys win;
    dictionaries are merged key by key. ``_delete_ = ["key"]`` drops inherited keys. Names that start with an underscore
    are left out, and of a file that runs also modules, functions and classes.

    Args:
        filename: as :func:`find_config` takes it.
        code: whether a file that is more than plain values may run: ``never``; ``plugins``: where it registers
            something; ``any``. Plain are literals, ``dict(key=value)``, sums and products of numbers, names that the file
            has given before, and several names at once, as in ``a, b = 1, 2``.

    Raises:
        FileNotFoundError: the file, or one it inherits from, does not exist.
        ValueError: it is not a ``.py`` file, fails to run or may not, or inherits from itself.
    """
    return _load(find_config(filename), code, chain=())


def _load(path: Path, code: Code, chain: tuple) -> dict:
    resolved = path.resolve()
    asked_by = f" (inherited by {chain[-1]})" if chain else ""
    if path.exists():
        refuse_special(path)
    if not path.is_file():
        nearby = sorted(p.name for p in path.parent.glob("*.py")) if path.parent.is_dir() else []
        hint = f" In {path.parent} there are: {', '.join(nearby)}." if nearby else ""
        if path.parts[:1] == ("configs",):
            hint += f" It is none of the packaged ones ({packaged_configs()}); OpenSTL's own lie in its checkout."
        raise FileNotFoundError(f"config file {path} does not exist{asked_by}.{hint} Give an existing one with -c.")
    if path.suffix != ".py":
        raise ValueError(f"config file {path}: only .py files are read, got {path.suffix or 'no ending'!r}.")
    if resolved in chain:
        raise ValueError(f"config file {path} inherits from itself through _base_: {' -> '.join(map(str, chain))}.")

    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        namespace = _plain_values(tree, path, run=code == "any" or (code == "plugins" and _registers(tree)))
        if namespace is None:
            # As the name of the module, the path tells apart classes of files that are called the same.
            namespace = {"__file__": str(resolved), "__name__": str(resolved)}
            with reading(str(resolved)):
                exec(compile(tree, str(resolved), "exec"), namespace)
    except CodeNotAllowed:
        raise
    except (Exception, SystemExit) as error:  # whatever a user's file raises, the message must name the file
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
        config = merge(config, _load(path.parent / base, code, (*chain, resolved)))
    for key in namespace.get("_delete_", []):
        config.pop(key, None)
    return merge(config, own)


class CodeNotAllowed(ValueError):
    """A file, or a plug-in that a checkpoint names, is code that nobody has allowed to run."""


class _NotPlain(Exception):
    pass


def _plain_values(tree: ast.Module, path: Path, run: bool) -> dict[str, Any] | None:
    """What a file of plain values sets; ``None`` if it is more than that and is to ``run``.

    Raises:
        CodeNotAllowed: it is more than that and is not to run.
    """
    values: dict[str, Any] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue  # a text that documents the file
        try:
            if not isinstance(statement, ast.Assign):
                raise _NotPlain
            value = _plain(statement.value, values)
            values.update(pair for target in statement.targets for pair in _assigned(target, value))
        except _NotPlain:
            if run:
                return None
            line = ast.unparse(statement).splitlines()[0]
            raise CodeNotAllowed(
                f"config file {path}, line {statement.lineno}: {line!r} is no plain value but code, which is not run. "
                "Write values alone, or, if you trust the file, give --allow_code."
            ) from None
    return values


def _assigned(target: ast.expr, value: Any) -> list[tuple[str, Any]]:
    """Names and values of ``a = value``, or of ``a, b = values``."""
    if isinstance(target, ast.Name):
        return [(target.id, value)]
    if not isinstance(target, (ast.Tuple, ast.List)) or not isinstance(value, (tuple, list)):
        raise _NotPlain
    if len(target.elts) != len(value):
        raise ValueError(f"{ast.unparse(target)} are {len(target.elts)} names for {len(value)} values")
    return [pair for entry, part in zip(target.elts, value) for pair in _assigned(entry, part)]


def _plain(node: ast.expr, names: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        kind = {ast.List: list, ast.Tuple: tuple, ast.Set: set}[type(node)]
        return kind(_plain(entry, names) for entry in node.elts)
    if isinstance(node, ast.Dict) and None not in node.keys:
        pairs = zip(node.keys, node.values)
        return {_plain(key, names): _plain(value, names) for key, value in pairs if key is not None}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        return {word.arg or _refuse(): _plain(word.value, names) for word in node.keywords}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        value = _number(node.operand, names)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_number(node.left, names), _number(node.right, names))
    raise _NotPlain


def _refuse():
    raise _NotPlain


def _number(node: ast.expr, names: Mapping[str, Any]) -> Any:
    value = _plain(node, names)
    return value if isinstance(value, (int, float)) else _refuse()


def _registers(tree: ast.Module) -> bool:
    """Whether the file calls a ``register_...``, as the recipes for plug-ins do."""
    called = (
        getattr(node.func, "id", getattr(node.func, "attr", ""))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    )
    return any(name.startswith("register_") for name in called)


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
