"""The yearly (and daily) cycle of the training data, which forecasts of anomalies leave out and get back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..naming import choose
from .frames import Frames, chunk_length

KINDS = ("monthly", "hourly")


def _groups(kind: str, times: np.ndarray) -> np.ndarray:
    """Number of the month (0 to 11), or of the hour of the day in that month (0 to 287), of datetime64 ``(...)``."""
    month = times.astype("datetime64[M]").astype(np.int64) % 12
    hour = (times - times.astype("datetime64[D]")).astype("timedelta64[h]").astype(np.int64)
    return month if kind == "monthly" else 24 * month + hour


@dataclass(frozen=True)
class Cycle:
    """Means at each grid point over the frames of a month (``monthly``), or of an hour of the day in a month (``hourly``).

    Attributes:
        kind: of these.
        groups: months 0 to 11, or ``24 * month + hour``, that there are means of: ``(G,)``, increasing.
        means: float32 ``(G, C, H, W)``, in the data's unit.
    """

    kind: str
    groups: np.ndarray
    means: np.ndarray

    @classmethod
    def fit(cls, kind: str, frames: Frames, times: np.ndarray | None, indices: np.ndarray) -> "Cycle":
        """The means over the frames at ``indices``.

        Raises:
            ValueError: another kind, or no times.
        """
        choose("anomaly", kind, KINDS)
        if times is None:
            raise ValueError(f"anomaly={kind!r} takes a mean for each month, which needs data with dates as times.")
        group = _groups(kind, times[indices])
        groups, member = np.unique(group, return_inverse=True)
        sums, counts = np.zeros((len(groups), *frames.shape[1:])), np.bincount(member)
        chunk = chunk_length(frames.frame_bytes)
        for begin in range(0, len(indices), chunk):
            part = slice(begin, begin + chunk)
            np.add.at(sums, member[part], frames.read(indices[part]))
        return cls(kind, groups, (sums / counts[:, None, None, None]).astype(np.float32))

    def at(self, times: np.ndarray) -> np.ndarray:
        """The means for datetime64 ``(...)``: ``(..., C, H, W)``.

        Raises:
            ValueError: a month, or an hour, that the training data do not have.
        """
        return self.means[self.check(times)]

    def check(self, times: np.ndarray) -> np.ndarray:
        """Index of the means for datetime64 ``(...)``; errors as of :meth:`at`."""
        group = _groups(self.kind, times)
        place = np.searchsorted(self.groups, group).clip(0, len(self.groups) - 1)
        if (absent := self.groups[place] != group).any():
            what = "month" if self.kind == "monthly" else "month and hour"
            raise ValueError(
                f"anomaly={self.kind!r}: the training data have no frame in the {what} of {times[absent].ravel()[0]}, so "
                "there is no mean to take from it. Train on whole years, or leave anomaly out."
            )
        return place

    def as_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"kind": self.kind, "groups": self.groups, "means": self.means}

    @classmethod
    def of_dict(cls, saved: Mapping | None) -> "Cycle | None":
        return None if saved is None else cls(saved["kind"], np.asarray(saved["groups"]), np.asarray(saved["means"]))


class Anomalies(Frames):
    """``frames`` less the ``cycle`` at their times."""

    def __init__(self, frames: Frames, times: np.ndarray, cycle: Cycle):
        self._frames, self._times, self._cycle, self.shape = frames, times, cycle, frames.shape

    def read(self, indices: np.ndarray) -> np.ndarray:
        return self._frames.read(indices) - self._cycle.at(self._times[indices])

    def less_other(self, cycle: Cycle) -> "Anomalies":
        """The same frames less another cycle."""
        return Anomalies(self._frames, self._times, cycle)
