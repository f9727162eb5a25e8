"""Benchmarks: one a file. Each is a function that measures something and returns a table."""

from collections.abc import Callable

from ..naming import Registry
from .tables import Table

Progress = Callable[[str], None] | None  # told what is being measured

BENCHMARKS: Registry[Callable[..., Table]] = Registry("benchmark", __name__)


def register_benchmark(name: str, description: str, *, override: bool = False) -> Callable[[Callable], Callable]:
    """Decorator that makes a function available as ``tools/benchmark.py NAME``.

    Its parameters, all with defaults and types, are the command's flags: a whole number, a number, text, a path,
    ``tuple[int, int]`` (as many numbers), ``Sequence[int]`` (any number of them), or a mapping of such values, which
    makes a flag of each of its keys. ``device`` and ``progress`` are given to those that take them.

    Args:
        description: one line for :func:`list_benchmarks`.
        override: replace a benchmark of the same name on purpose.

    Raises:
        ValueError: the name is taken.
    """
    return BENCHMARKS.register(name, description, override=override)


def list_benchmarks() -> dict[str, str]:
    """Name -> one-line description of every registered benchmark, sorted by name."""
    return BENCHMARKS.descriptions()
