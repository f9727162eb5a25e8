"""Names that a user may mistype: one message for all of them, and registries of what has a name."""

import difflib
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from .plugins import registered

T = TypeVar("T")


def nearest(name: object, known: Iterable[str]) -> str:
    """``" Did you mean 'x'?"`` for the known name closest to ``name``, or nothing where none is close."""
    by_lower = {str(k).lower(): str(k) for k in known}
    close = difflib.get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.6)
    return f" Did you mean {by_lower[close[0]]!r}?" if close else ""


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    """The message for an unknown ``name``: what was given, the nearest known name, and all that exist."""
    known = sorted(map(str, known))
    return f"unknown {what} {name!r}.{nearest(name, known)} Available: {', '.join(known)}."


def choose(what: str, name: T, known: Iterable[T], hint: str = "") -> T:
    """``name`` if it is among ``known``, else a ValueError that lists them, with a further ``hint``."""
    known = list(known)
    if name not in known:
        raise ValueError(unknown(what, name, known) + hint)
    return name


def parameters(function: Callable) -> set[str]:
    """Names of what ``function`` takes; of a class whose constructor takes ``**``, also what its base class's takes."""
    names: set[str] = set()
    for owner in getattr(function, "__mro__", (function,)):
        if isinstance(owner, type) and "__init__" not in vars(owner):
            continue
        found = inspect.signature(owner.__init__ if isinstance(owner, type) else owner).parameters.values()
        names |= {p.name for p in found if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)} - {"self"}
        if all(p.kind is not p.VAR_KEYWORD for p in found):
            break
    return names


def accepted(function: Callable, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``values`` that ``function`` (or a class's constructor) has a parameter for.

    >>> accepted(lambda a, b=0: None, {"a": 1, "c": 2})
    {'a': 1}
    """
    names = parameters(function)
    return {name: value for name, value in values.items() if name in names}


class Registry(Generic[T]):
    """Things by name, each registered in the file that defines it.

    Args:
        what: what one of them is called in messages, as in ``"metric"``.
        package: its modules register the things that come with this package. :meth:`load` imports them all, which also
            happens when somebody first asks for a name or registers a class of his own, so a further file needs no list
            to stand in.
    """

    def __init__(self, what: str, package: str):
        self.what, self.package = what, package
        self._entries: dict[str, tuple[T, str, str]] = {}  # name -> thing, description, owner
        self._complete = False

    def add(self, name: str, thing: T, description: str, *, owner: str, held_by: str = "", override: bool = False) -> T:
        """Makes ``thing`` available as ``name``.

        Args:
            description: one line for the list.
            owner: where it is defined. The same owner may register it again: a file may be read more than once.
            held_by: who has the name, where it is nobody in this registry.
            override: take the place of a thing of the same name on purpose.

        Raises:
            ValueError: somebody else has the name.
        """
        holder = self._entries[name][2] if name in self._entries else held_by or owner
        if holder != owner and not override:
            raise ValueError(
                f"the {self.what} name {name!r} is taken by {holder}; {owner} needs another, or override=True to "
                "replace it."
            )
        registered(self.what, name)
        self._entries[name] = thing, description, owner
        return thing

    def register(
        self, name: str, description: str, *, override: bool = False, record: Callable[[Any], T] | None = None
    ) -> Callable:
        """Decorator that makes a class or a function, or the ``record`` made of it, available as ``name``; see :meth:`add`."""

        def decorate(thing):
            if not thing.__module__.startswith(f"{self.package}."):
                self.load()  # so that a name of this package is known to be taken
            kept = record(thing) if record else thing
            self.add(name, kept, description, owner=place(thing), override=override)
            return thing

        return decorate

    def __getitem__(self, name: str) -> T:
        """The thing of this name; a ValueError lists what exists."""
        self.load()
        return self._entries[choose(self.what, name, self._entries)][0]

    def get(self, name: str) -> T | None:
        """The thing of this name, or ``None``."""
        return self._entries[name][0] if name in self else None

    def __contains__(self, name: object) -> bool:
        self.load()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        """Names, sorted."""
        self.load()
        return iter(sorted(self._entries))

    def descriptions(self) -> dict[str, str]:
        """Name -> one-line description, sorted by name."""
        return {name: self._entries[name][1] for name in self}

    def load(self) -> None:
        """Imports all modules of the package."""
        if not self._complete:
            self._complete = True  # before, since the modules that are imported register with this
            try:
                for module in pkgutil.iter_modules(importlib.import_module(self.package).__path__):
                    importlib.import_module(f"{self.package}.{module.name}")
            except BaseException:
                self._complete = False
                raise


def place(thing: Any) -> str:
    """Where a class or a function is defined: ``module.name (file)``; the module of a plug-in's file is its path."""
    name, file = (
        f"{thing.__module__}.{thing.__qualname__}",
        getattr(sys.modules.get(thing.__module__), "__file__", None),
    )
    return f"{name} ({file})" if file else name
