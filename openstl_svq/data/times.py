"""When frames are, in their own calendar, and stretches of time without a gap."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

STANDARD, NOLEAP, DAYS_360 = "standard", "noleap", "360_day"
_DAY = 24 * 60  # minutes
# Days of a year before each month, in the calendars whose years are all alike.
_BEFORE = {NOLEAP: np.cumsum([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30]), DAYS_360: 30 * np.arange(12)}
_DAYS = {NOLEAP: 365, DAYS_360: 360}


@dataclass(frozen=True)
class Clock:
    """How frames follow each other: by the minutes of a calendar, or by months, which are not equally long.

    Times are datetime64 with the year, month and day that the calendar says; :meth:`steps` counts them so that what
    follows each other without a gap is evenly spaced.

    Attributes:
        calendar: ``standard``, ``noleap`` (no 29 February) or ``360_day`` (months of 30 days), as in the CF conventions.
        monthly: there is one frame a month, whatever its day.
    """

    calendar: str = STANDARD
    monthly: bool = False

    @classmethod
    def of(cls, times: np.ndarray, calendar: str = STANDARD) -> "Clock":
        """The clock of increasing ``times``, datetime64 ``(N,)``: monthly where each month has one frame at most, and
        the days of the month differ by no more than the lengths of months do."""
        months = times.astype("datetime64[M]")
        if len(times) < 2 or not (np.diff(months) > np.timedelta64(0)).all():
            return cls(calendar)
        within = (times - months).astype("timedelta64[m]").astype(np.int64)
        spread, apart = int(np.ptp(within)), np.diff(times)
        every_30_days = len(apart) > 2 and (apart == apart[0]).all() and calendar != DAYS_360
        return cls(calendar, spread == 0 or (spread <= 3 * _DAY and not every_30_days))

    def steps(self, times: np.ndarray) -> np.ndarray:
        """Minutes, or months, since 1970: int64, of the shape of ``times``."""
        times = np.asarray(times).astype("datetime64[m]")
        months = times.astype("datetime64[M]")
        number = months.astype(np.int64)
        if self.monthly:
            return number
        if self.calendar == STANDARD:
            return times.astype(np.int64)
        year, month = np.divmod(number, 12)
        days = _DAYS[self.calendar] * year + _BEFORE[self.calendar][month]
        return _DAY * days + (times - months).astype(np.int64)

    def times(self, steps: np.ndarray, like: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`steps`: datetime64[m]. A month has the day and hour that it has among ``like``, datetime64
        ``(N,)``, or else those of the last of them.

        Raises:
            ValueError: a day that only the 360-day calendar has.
        """
        steps = np.asarray(steps, dtype=np.int64)
        if self.monthly:
            months = steps.astype("datetime64[M]")
            seen = like.astype("datetime64[M]")
            within = (like.astype("datetime64[m]") - seen).astype(np.int64)
            days, clock = np.divmod(np.full(12, within[-1]), _DAY)
            days[seen.astype(np.int64) % 12], clock[seen.astype(np.int64) % 12] = np.divmod(within, _DAY)
            month = steps % 12
            last = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64) - 1
            last = np.where((month == 1) & (self.calendar == NOLEAP), 27, last)
            return months.astype("datetime64[m]") + _DAY * np.minimum(days[month], last) + clock[month]
        if self.calendar == STANDARD:
            return steps.astype("datetime64[m]")
        days, minute = np.divmod(steps, _DAY)
        year, day = np.divmod(days, _DAYS[self.calendar])
        month = np.searchsorted(_BEFORE[self.calendar], day, side="right") - 1
        months = (12 * year + month).astype("datetime64[M]")
        times = months.astype("datetime64[m]") + _DAY * (day - _BEFORE[self.calendar][month]) + minute
        if (times.astype("datetime64[M]") != months).any():
            raise ValueError(_no_such_day(self.calendar, "30 February"))
        return times

    def interval(self, steps: int) -> str:
        """So many steps, for a message."""
        if self.monthly:
            return f"{steps} months"
        return f"{steps / 60:g} h"


def segments(times: np.ndarray, spacing: np.timedelta64) -> np.ndarray:
    """Which stretch of steps one ``spacing`` apart each step belongs to."""
    return np.concatenate([[0], np.cumsum(np.diff(times) != spacing)])


def times_or_numbers(times: np.ndarray | None, path: Path | str) -> dict[str, Any]:
    """``times`` and ``calendar`` of a :class:`~.sources.Source` if they are dates to the minute, else ``numbers``, by which
    gaps are seen too."""
    if times is None or len(times) == 0:
        return {}
    calendar = STANDARD
    if times.dtype.kind == "O":  # of a calendar that xarray has no datetime64 for
        times, calendar = _by_parts(times, path)
    if times.dtype.kind not in "Miuf":
        raise ValueError(f"{path}: its times are {times.dtype}, neither dates nor numbers.")
    missing = np.isnat(times) if times.dtype.kind == "M" else ~np.isfinite(times)
    rising = np.diff(times) > (np.timedelta64(0) if times.dtype.kind == "M" else 0)
    if missing.any() or not rising.all():
        at = int(np.argmax(missing)) if missing.any() else int(np.argmin(rising)) + 1
        before = f" follows {times[at - 1]}" if at else ""
        raise ValueError(f"{path}: times must increase, but {times[at]}{before}. Sort them, and drop what is twice.")
    if times.dtype.kind == "M" and (times.astype("datetime64[m]") == times).all():
        times = times.astype("datetime64[m]")
        if calendar == STANDARD and _lacks_leap_days(times):
            warnings.warn(
                f"{path}: none of its leap years has a 29 February, so it is read as of the calendar {NOLEAP}: there is "
                "no gap.",
                stacklevel=4,
            )
            calendar = NOLEAP
        return {"times": times, "calendar": calendar}
    if times.dtype.kind == "M":
        warnings.warn(
            f"{path}: its times are finer than a minute. Gaps are seen, but splits are by share, and "
            "forecasts carry no dates.",
            stacklevel=4,
        )
        times = times.astype("datetime64[ms]").astype(np.int64)
    return {"numbers": times}


def _lacks_leap_days(times: np.ndarray) -> bool:
    """Whether days were left out of leap years, which then go on from 28 February to 1 March."""
    days = np.unique(times.astype("datetime64[D]"))
    years = np.arange(days[0].astype("datetime64[Y]"), days[-1].astype("datetime64[Y]") + 1)
    last = (years.astype("datetime64[M]") + 2).astype("datetime64[D]") - 1  # of February
    leap = (last - last.astype("datetime64[M]")).astype(np.int64) == 28
    passed = leap & np.isin(last - 1, days) & np.isin(last + 1, days)
    return bool(passed.any() and not np.isin(last[leap], days).any())


def _by_parts(times: np.ndarray, path: Path | str) -> tuple[np.ndarray, str]:
    """Dates of another calendar as datetime64 with the same year, month and day; and that calendar."""
    calendar = {"365_day": NOLEAP}.get(found := getattr(times[0], "calendar", "another"), found)
    try:
        day = [t.day for t in times]
        months = np.array([12 * (t.year - 1970) + t.month - 1 for t in times])
        if calendar == DAYS_360 and (np.diff(months) > 0).all():  # a month is a month, whatever its day
            day = [min(d, 28) if t.month == 2 else d for d, t in zip(day, times)]
        parts = [f"{t.year:04}-{t.month:02}-{d:02}T{t.hour:02}:{t.minute:02}:{t.second:02}" for d, t in zip(day, times)]
        dates = np.array(parts, dtype="datetime64[s]")
    except (AttributeError, ValueError) as error:
        raise ValueError(f"{path}: {_no_such_day(calendar, str(error))}") from error
    # The days of the others (julian, all_leap, ...) are taken by their parts, as if they were the standard ones.
    return dates, calendar if calendar in _DAYS else STANDARD


def _no_such_day(calendar: str, what: str) -> str:
    return (
        f"its times are of the calendar {calendar}, with days that no year has ({what}). Convert them, as with xarray's "
        "convert_calendar."
    )
