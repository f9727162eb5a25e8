"""Forecasts that need no model: persistence and climatology, to set scores against. All in normalised units."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

_ANNUAL = _DIURNAL = 2  # harmonics
_SEASONS, _DAYS = np.timedelta64(330, "D"), np.timedelta64(10, "D")  # least span of the data for them
_BLOCK = 64  # frames at a time, to bound the memory of the float64 copy


def persistence(x: Tensor, steps: int) -> Tensor:
    """The last input frame at all lead times: ``(B, T, C, H, W)`` -> ``(B, steps, C, H, W)``, a view."""
    if x.ndim != 5:
        raise ValueError(f"persistence takes (B, T, C, H, W); got {tuple(x.shape)}.")
    return x[:, -1:].expand(-1, steps, -1, -1, -1)


class Climatology:
    r"""What is usual at a grid point at that time of the year and of the day.

    A least-squares fit per grid point and channel of

    .. math:: c_0 + \sum_{k=1}^{2} (a_k \cos 2 \pi k y + b_k \sin 2 \pi k y)
                  + \sum_{k=1}^{2} (\alpha_k \cos 2 \pi k h + \beta_k \sin 2 \pi k h)

    where y is the elapsed fraction of the year and h that of the day (UTC). A few harmonics estimate a climatology
    better than means over the same day of all years (Narapusetty, DelSole & Tippett 2009, "Optimal Estimation of the
    Climatological Mean", doi:10.1175/2009JCLI2944.1). The annual terms need data from every month, over 330 days at
    least, and a diurnal harmonic k more than 2 k different times of the day, over 10 days; what the data do not
    determine is left out, and without times the mean frame remains.

    Attributes:
        mean: ``(C, H, W)`` float32, the plain mean of all frames.
        coefficients: ``(K, C, H, W)`` float32, of the terms that were fitted, or ``None`` without times.
    """

    def __init__(self, mean: Tensor, coefficients: Tensor | None, terms: np.ndarray):
        self.mean = mean
        self.coefficients = coefficients
        self._terms = terms  # which of the terms of _design

    @property
    def kind(self) -> str:
        """``seasonal and diurnal``, ``seasonal``, ``diurnal``, or ``constant``."""
        kinds = [(1, "seasonal"), (1 + 2 * _ANNUAL, "diurnal")] if self.coefficients is not None else []
        return " and ".join(kind for term, kind in kinds if term in self._terms) or "constant"

    def describe(self) -> str:
        """What it is, and why no more, in a sentence."""
        if self.kind != "constant":
            return f"{self.kind}, fitted to the training frames"
        why = "have no times" if self.coefficients is None else "do not cover a year, or ten days at several hours"
        return f"constant, the mean of the training frames, since these {why}"

    @classmethod
    def fit(cls, chunks: Iterable[tuple[np.ndarray, np.ndarray | None]]) -> "Climatology":
        """Fits in one pass; memory is that of nine frames and a chunk.

        Args:
            chunks: ``(frames (n, C, H, W), times datetime64[n] or None)``, in any order; times with all chunks or none.

        Raises:
            ValueError: no frames, frames of different shapes, values that are not finite, or times that do not fit.
        """
        gram = moments = np.zeros(0)
        total, timed, ends = 0, False, []
        months: set[int] = set()
        hours: set = set()
        for frames, times in _blocks(chunks):
            if total and timed != (times is not None):
                raise ValueError("some chunks of frames have times and some have none.")
            timed = times is not None
            design = np.ones((len(frames), 1)) if times is None else _design(times)  # (n, K)
            sums = np.tensordot(design, frames.astype(np.float64), (0, 0))  # (K, C, H, W)
            if not np.isfinite(sums[0]).all():
                raise ValueError("the frames hold values that are NaN or infinite; a climatology needs clean data.")
            if not total:
                gram, moments = np.zeros((design.shape[1],) * 2), np.zeros_like(sums)
            elif sums.shape != moments.shape:
                raise ValueError(f"frames of shape {sums.shape[1:]} after frames of shape {moments.shape[1:]}.")
            gram += design.T @ design
            moments += sums
            total += len(frames)
            if times is not None:
                months.update(times.astype("datetime64[M]").astype(int) % 12)
                hours.update((times - times.astype("datetime64[D]")).tolist())
                ends += [times.min(), times.max()]
        if not total:
            raise ValueError("no frames to make a climatology of.")
        mean = torch.from_numpy(moments[0] / total).float()
        if not timed:
            return cls(mean, None, np.arange(1))
        span = max(ends) - min(ends)
        annual = 2 * _ANNUAL if len(months) == 12 and span >= _SEASONS else 0
        diurnal = 2 * min(_DIURNAL, (len(hours) - 1) // 2) if span >= _DAYS else 0
        terms = np.r_[0, 1 : 1 + annual, 1 + 2 * _ANNUAL : 1 + 2 * _ANNUAL + diurnal]
        chosen = moments[terms]
        # Least squares: irregular times may leave two terms that cannot be told apart.
        solution = np.linalg.lstsq(gram[np.ix_(terms, terms)], chosen.reshape(len(terms), -1), rcond=1e-10)[0]
        return cls(mean, torch.from_numpy(solution.reshape(chosen.shape)).float(), terms)

    def at(self, times: np.ndarray | None) -> Tensor:
        """Climatology at ``times``, datetime64 ``(B, T)``: float32 ``(B, T, C, H, W)``.

        Without times, the mean frame as ``(1, 1, C, H, W)``, which broadcasts.
        """
        if times is None:
            return self.mean[None, None]
        if self.coefficients is None:
            return self.mean.expand(*np.shape(times), *self.mean.shape)
        design = torch.from_numpy(_design(_checked(times))[..., self._terms]).float()  # (B, T, K)
        return torch.tensordot(design, self.coefficients, 1)


def _blocks(chunks: Iterable[tuple[np.ndarray, np.ndarray | None]]) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    for frames, times in chunks:
        frames = np.asarray(frames)
        times = None if times is None else _checked(times)
        if times is not None and len(times) != len(frames):
            raise ValueError(f"{len(times)} times for {len(frames)} frames.")
        for start in range(0, len(frames), _BLOCK):
            block = slice(start, start + _BLOCK)
            yield frames[block], None if times is None else times[block]


def _checked(times) -> np.ndarray:
    times = np.asarray(times)
    if times.dtype.kind != "M" or np.isnat(times).any():
        raise ValueError(f"times must be numpy datetime64 without NaT; got {times.dtype}.")
    return times.astype("datetime64[s]")


def _design(times: np.ndarray) -> np.ndarray:
    """The terms of the fit at ``times``: ``(...)`` -> ``(..., K)``: 1, the annual pairs, the diurnal pairs."""

    def elapsed(unit: str):
        start = times.astype(f"datetime64[{unit}]")
        end = (start + 1).astype(times.dtype)
        start = start.astype(times.dtype)
        return (times - start) / (end - start)

    year, day = 2 * np.pi * elapsed("Y"), 2 * np.pi * elapsed("D")
    angles = [k * year for k in range(1, _ANNUAL + 1)] + [k * day for k in range(1, _DIURNAL + 1)]
    return np.stack([np.ones(times.shape)] + [wave(angle) for angle in angles for wave in (np.cos, np.sin)], axis=-1)
