"""When frames are, and stretches of time without a gap."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np


def segments(times: np.ndarray, spacing: np.timedelta64) -> np.ndarray:
    """Which stretch of steps one ``spacing`` apart each step belongs to."""
    return np.concatenate([[0], np.cumsum(np.diff(times) != spacing)])


def times_or_numbers(times: np.ndarray | None, path: Path) -> dict[str, Any]:
    """``times`` of a :class:`~.sources.Source` if they are dates to the minute, else ``numbers``, by which gaps are seen too."""
    if times is None or len(times) == 0:
        return {}
    if times.dtype.kind == "O":  # of a calendar that xarray has no datetime64 for
        times = _standard(times, path)
    if times.dtype.kind not in "Miuf":
        raise ValueError(f"{path}: its times are {times.dtype}, neither dates nor numbers.")
    missing = np.isnat(times) if times.dtype.kind == "M" else ~np.isfinite(times)
    rising = np.diff(times) > (np.timedelta64(0) if times.dtype.kind == "M" else 0)
    if missing.any() or not rising.all():
        at = int(np.argmax(missing)) if missing.any() else int(np.argmin(rising)) + 1
        before = f" follows {times[at - 1]}" if at else ""
        raise ValueError(f"{path}: times must increase, but {times[at]}{before}. Sort them, and drop what is twice.")
    if times.dtype.kind == "M" and (times.astype("datetime64[m]") == times).all():
        return {"times": times.astype("datetime64[m]")}
    if times.dtype.kind == "M":
        warnings.warn(
            f"{path}: its times are finer than a minute. Gaps are seen, but splits are by share, and "
            "forecasts carry no dates.",
            stacklevel=4,
        )
        times = times.astype("datetime64[ms]").astype(np.int64)
    return {"numbers": times}


def _standard(times: np.ndarray, path: Path) -> np.ndarray:
    """Dates of another calendar by their parts; its intervals are then a day longer where it has no 29 February."""
    calendar = getattr(times[0], "calendar", "another")
    try:
        return np.array(
            [f"{t.year:04}-{t.month:02}-{t.day:02}T{t.hour:02}:{t.minute:02}:{t.second:02}" for t in times],
            dtype="datetime64[s]",
        )
    except (AttributeError, ValueError) as error:
        raise ValueError(
            f"{path}: its times are of the calendar {calendar}, with days that no year has ({error}). "
            "Convert them, as with xarray's convert_calendar."
        ) from error
