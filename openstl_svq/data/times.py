"""Splits that are bounded by years or dates, and stretches of time without a gap."""

import numpy as np

SPLITS = ("train_time", "val_time", "test_time")


def period(bounds, split):
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


def refuse_overlap(config):
    """A ValueError if two of the splits share time."""
    spans = {split: period(config[split], split)[:2] for split in SPLITS}
    for a, b in (("train_time", "val_time"), ("train_time", "test_time"), ("val_time", "test_time")):
        if spans[a][0] < spans[b][1] and spans[b][0] < spans[a][1]:
            raise ValueError(
                f"{a} {config[a]} and {b} {config[b]} overlap: scores on data that were trained on say "
                "nothing. Part them (or, to do as OpenSTL does, set protocol to openstl)."
            )


def segments(times, spacing):
    """Which stretch of steps one ``spacing`` apart each step belongs to."""
    return np.concatenate([[0], np.cumsum(np.diff(times) != spacing)])
