"""Imports go one way through the rooms of the package."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "openstl_svq"

# What a room may import from, itself and the modules beside the rooms aside.
ORDER = [
    ("quantizers", "metrics", "data", "losses", "acceleration"),
    ("host",),
    ("models",),
    ("methods",),
    ("training",),
    ("predict", "sweep", "figures", "benchmarks"),
    ("reproduce", "report"),
    ("commands",),
]
BELOW = {room: {r for rooms in ORDER[:k] for r in rooms} for k, rooms in enumerate(ORDER) for room in rooms}
BELOW |= {room: BELOW[room] | {*ORDER[-3]} for room in ORDER[-3]}  # a sweep draws figures
FILES = sorted(ROOT.rglob("*.py"))


def room_of(path: Path) -> str | None:
    """The room that a file lies in; ``None`` of a module beside the rooms."""
    parts = path.relative_to(ROOT).parts
    return parts[0] if len(parts) > 1 else None


def imported(path: Path):
    """Modules of this package that a file imports, as parts below the package, and the dots before them."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            module = tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                yield node.level, (*base, *module, alias.name)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "openstl_svq":
            for alias in node.names:
                yield 0, (*node.module.split(".")[1:], alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "openstl_svq":
                    yield 0, tuple(alias.name.split(".")[1:])


def test_every_room_has_its_place():
    assert {room_of(path) for path in FILES} - {None} == set(BELOW)


@pytest.mark.parametrize("room", BELOW)
def test_no_arrow_runs_upward(room):
    up = {
        f"{path.relative_to(ROOT)} imports {'.'.join(module)}"
        for path in FILES
        if room_of(path) == room
        for _, module in imported(path)
        if module and module[0] in BELOW and module[0] != room and module[0] not in BELOW[room]
    }
    assert not up


def test_no_import_has_four_dots():
    deep = {str(path.relative_to(ROOT)) for path in FILES for level, _ in imported(path) if level > 3}
    assert not deep


def test_what_lies_beside_the_rooms_and_is_used_below_imports_no_room():
    """Else an arrow would run upward through it."""
    beside = {path.stem: path for path in ROOT.glob("*.py")}
    low = {
        module[0]
        for path in FILES
        if room_of(path) in ORDER[0]
        for _, module in imported(path)
        if module and module[0] in beside
    }
    for name in low:
        assert not {module[0] for _, module in imported(beside[name]) if module} & set(BELOW), name
