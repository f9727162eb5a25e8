"""Checks of settings, each ending in a message that says what was given, what is allowed and what to do."""

import operator
from collections.abc import Iterable

from ..naming import choose as check_choice
from ..naming import unknown

__all__ = ["check_above_0", "check_bool", "check_choice", "check_number", "check_positive", "check_settings"]


def check_settings(owner: str, given: Iterable[str], allowed: Iterable[str]) -> None:
    """Refuses setting names that `owner` does not have."""
    for name in given:
        if name not in allowed:
            raise ValueError(unknown(f"setting of {owner}:", name, allowed))


def check_positive(what: str, given: object) -> int:
    """`given` as an int of at least 1; True and 3.0 are not integers here."""
    try:
        if isinstance(given, bool):
            raise TypeError
        value = operator.index(given)  # type: ignore[arg-type]
    except TypeError:
        raise ValueError(f"{what} must be a positive integer, got {given!r}") from None
    if value < 1:
        raise ValueError(f"{what} must be a positive integer, got {value}; the smallest valid value is 1")
    return value


def check_bool(what: str, given: object) -> bool:
    """A string such as "False" is true in Python, so only True and False pass."""
    if not isinstance(given, bool):
        raise ValueError(f"{what} must be True or False, got {given!r}")
    return given


def check_number(what: str, given: object, low: float = 0.0) -> float:
    """A real number of at least `low`."""
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not low <= given < float("inf"):
        raise ValueError(f"{what} must be a number of at least {low:g}, got {given!r}")
    return float(given)


def check_above_0(what: str, given: object) -> float:
    """A finite number above 0."""
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 < given < float("inf"):
        raise ValueError(f"{what} must be a number above 0, got {given!r}")
    return float(given)
