"""Names that a user may mistype: one message for all of them."""

import difflib
from collections.abc import Iterable


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
