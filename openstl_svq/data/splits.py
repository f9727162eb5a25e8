"""Which part of the data is for training, for validation and for test."""

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from ..protocol import differences
from .windows import WindowDataset

SPLITS = ("train_time", "val_time", "test_time")


def period(bounds: Sequence, split: str) -> tuple[np.datetime64, np.datetime64, np.dtype]:
    """``['2010', '2015']`` or dates -> first moment, first moment after, and the unit that was spoken of."""
    try:
        first, last = (np.datetime64(str(b)) for b in bounds)
        if np.isnat(first) or np.isnat(last):
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(
            f"{split} must be two years or dates, as in ['2010', '2015'] or ['2019-03-01', '2019-03-23'], "
            f"got {bounds!r}."
        ) from None
    begin, end = first.astype("datetime64[m]"), (last + 1).astype("datetime64[m]")
    if end <= begin:
        raise ValueError(f"{split} {bounds!r} ends before it begins.")
    return begin, end, last.dtype


def refuse_overlap(config: dict) -> None:
    """A ValueError if two of the splits share time."""
    spans = {split: period(config[split], split)[:2] for split in SPLITS}
    for a, b in (("train_time", "val_time"), ("train_time", "test_time"), ("val_time", "test_time")):
        if spans[a][0] < spans[b][1] and spans[b][0] < spans[a][1]:
            raise ValueError(
                f"{a} {config[a]} and {b} {config[b]} overlap: scores on data that were trained on say "
                "nothing. Part them (or, to do as OpenSTL does, set protocol to openstl)."
            )


def hold_out_end(group: np.ndarray, start: np.ndarray, length: int, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Which windows to train on, and which to validate on: the last ``fraction``, that shares nothing with the rest.

    Args:
        group: what must not be on both sides (a video, a person), for each window, ``(N,)``; the last ones that appear
            go to validation.
        start: first frame of each window, ``(N,)``; within a single group, windows that reach into the validation part
            are left out.
        length: frames in a window.

    Raises:
        ValueError: too few windows to part.
    """
    count = len(group)
    cut = count - max(1, round(fraction * count))
    _, appears, member = np.unique(group, return_index=True, return_inverse=True)
    order = np.argsort(appears[member], kind="stable")
    borders = np.flatnonzero(np.diff(member[order])) + 1
    if len(borders):
        cut = borders[np.abs(borders - cut).argmin()]
        training = order[:cut]
    else:
        training = np.flatnonzero(start + length <= start[cut])
    if not len(training):
        raise ValueError(
            f"{count} training windows are too few to hold out {fraction:g} of them for validation: give "
            "more data or a smaller val_fraction (protocol openstl validates on the test data)."
        )
    return training, order[cut:]


def train_and_test(
    train: Callable[..., WindowDataset],
    test: WindowDataset,
    *,
    group: np.ndarray,
    start: np.ndarray,
    length: int,
    config: dict,
    protocol: str,
    augment: Callable[[Tensor], Tensor] | None,
    validation: WindowDataset | None = None,
) -> list[WindowDataset]:
    """Training, validation and test of data that come as training and test alone.

    The test windows validate where the protocol has OpenSTL's selection; else ``validation``, or the end of the
    training windows, of which ``val_fraction`` are then held out (see :func:`hold_out_end` for the arrays).

    Args:
        train: ``train(windows, augment)``: these of the training windows.
    """
    if "selection" in differences(protocol):
        validation = test
    if validation is not None:
        return [train(np.arange(len(start)), augment), validation, test]
    training, held_out = hold_out_end(group, start, length, config.get("val_fraction", 0.1))
    return [train(training, augment), train(held_out), test]


def by_time(config: dict, times: np.ndarray | None) -> list[np.ndarray]:
    """Indices of the frames of each part, whose bounds ``config`` has under ``SPLITS``.

    Raises:
        ValueError: no times; a part without bounds; parts that overlap.
    """
    if times is None:
        raise ValueError(f"{', '.join(SPLITS)} need data with dates as times; give split=[0.7,0.1,0.2] instead.")
    if not all(config.get(key) for key in SPLITS):
        raise ValueError(f"{', '.join(SPLITS)} go together: one of them is missing.")
    refuse_overlap(config)
    bounds = [period(config[key], key)[:2] for key in SPLITS]
    return [np.flatnonzero((times >= begin) & (times < end)) for begin, end in bounds]


def by_share(shares: Sequence[float], series: np.ndarray) -> list[np.ndarray]:
    """Indices of the frames of each part, in order; whole series where there are three or more.

    Args:
        series: which series each frame belongs to, ``(N,)``.

    Raises:
        ValueError: ``shares`` are not three above 0 that add to 1.
    """
    numbers = np.ravel(np.asarray(shares, dtype=object))
    given = np.array([v if isinstance(v, (int, float)) else np.nan for v in numbers], dtype=float)
    if given.shape != (3,) or not (given > 0).all() or not np.isclose(given.sum(), 1):
        raise ValueError(f"split must be three shares above 0 that add to 1, as in [0.7, 0.1, 0.2], got {shares!r}.")
    cuts = np.cumsum(given[:2])
    borders = np.flatnonzero(np.diff(series)) + 1
    if len(borders) >= 2:  # whole videos
        wanted = np.rint(cuts * (len(borders) + 1)).astype(int).clip([1, 2], [len(borders) - 1, len(borders)])
        cuts = borders[[wanted[0] - 1, max(wanted[1], wanted[0] + 1) - 1]]
    else:
        cuts = np.rint(cuts * len(series)).astype(int)
    return np.split(np.arange(len(series)), cuts)
