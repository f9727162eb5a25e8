"""Names that a user may mistype: one message for all of them, and registries of what has a name."""

import difflib
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from .plugins import registered

T = TypeVar("T")


def nearest(name, known: Iterable[str]) -> str:
    """``" Did you mean 'x'?"`` for the known name closest to ``name``, or nothing where none is close."""
    by_lower = {str(k).lower(): str(k) for k in known}
    close = difflib.get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.6)
    return f" Did you mean {by_lower[close[0]]!r}?" if close else ""


def unknown(what: str, name, known: Iterable[str]) -> str:
    """The message for an unknown ``name``: what was given, the nearest known name, and all that exist."""
    known = sorted(map(str, known))
    return f"unknown {what} {name!r}.{nearest(name, known)} Available: {', '.join(known)}."


def choose(what: str, name, known: Iterable[str]) -> str:
    """``name`` if it is among ``known``, else a ValueError that lists them."""
    known = list(known)
    if name not in known:
        raise ValueError(unknown(what, name, known))
    return name


def accepted(function: Callable, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``values`` that ``function`` (or a class's constructor) has a parameter for.

    >>> accepted(lambda a, b=0: None, {"a": 1, "c": 2})
    {'a': 1}
    """
    parameters = inspect.signature(function).parameters
    return {name: value for name, value in values.items() if name in parameters}


class Registry(Generic[T]):
    """Things by name, each registered in the file that defines it.

    Args:
        what: what one of them is called in messages, as in ``"metric"``.
        package: its modules register the things that come with this package. All of them are imported when somebody
            first asks for a name or registers another thing, so a further file needs no list to stand in.
    """

    def __init__(self, what: str, package: str):
        self.what, self.package = what, package
        self._entries: dict[str, tuple[T, str]] = {}
        self._complete = False

    def register(self, name: str, description: str, *, override: bool = False) -> Callable[[T], T]:
        """Decorator that makes a class or a function available as ``name``.

        Args:
            description: one line for the list.
            override: take the place of a thing of the same name on purpose.

        Raises:
            ValueError: the name is taken. The same thing again, from a file that is read twice, is no error.
        """

        def add(thing: T) -> T:
            if not thing.__module__.startswith(f"{self.package}."):
                self._import_all()  # so that a name of this package is known to be taken
            owner = self._entries.get(name, (thing, ""))[0]
            if place(owner) != place(thing) and not override:
                raise ValueError(
                    f"the {self.what} name {name!r} is taken by {place(owner)}; {place(thing)} needs another, or "
                    "override=True to replace it."
                )
            registered(self.what, name)
            self._entries[name] = thing, description
            return thing

        return add

    def __getitem__(self, name: str) -> T:
        """The thing of this name; a ValueError lists what exists."""
        return self._known()[choose(self.what, name, self._known())][0]

    def get(self, name: str) -> T | None:
        return self._known().get(name, (None, ""))[0]

    def descriptions(self) -> dict[str, str]:
        """Name -> one-line description, sorted by name."""
        return {name: description for name, (_, description) in sorted(self._known().items())}

    def _known(self) -> dict[str, tuple[T, str]]:
        self._import_all()
        return self._entries

    def _import_all(self):
        if not self._complete:
            self._complete = True  # before, since the modules that are imported register with this
            try:
                for module in pkgutil.iter_modules(importlib.import_module(self.package).__path__):
                    importlib.import_module(f"{self.package}.{module.name}")
            except BaseException:
                self._complete = False
                raise


def place(thing) -> str:
    """Where a class or a function is defined: ``module.name (file)``."""
    file = getattr(sys.modules.get(thing.__module__), "__file__", None) or "no file"
    return f"{thing.__module__}.{thing.__qualname__} ({file})"
