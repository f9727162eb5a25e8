"""Persistence and climatology: what they recover, what they leave out, and bad input."""

import numpy as np
import pytest
import torch
from comparison import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st

from openstl_svq.metrics import Climatology, persistence


def series(start, stop, hours=6, *, annual=1.0, diurnal=0.0, noise=0.0):
    """Frames (n, 2, 3, 4) with a known cycle, and their times."""
    times = np.arange(np.datetime64(start, "h"), np.datetime64(stop, "h"), np.timedelta64(hours, "h"))
    level = np.arange(24.0).reshape(2, 3, 4)
    frames = level + cycle(times, annual, diurnal)[:, None, None, None]
    return (frames + noise * np.random.default_rng(0).standard_normal(frames.shape)).astype(np.float32), times


def cycle(times, annual=1.0, diurnal=0.0):
    year = times.astype("datetime64[Y]")
    y = (times - year.astype("datetime64[h]")) / ((year + 1).astype("datetime64[h]") - year.astype("datetime64[h]"))
    h = (times - times.astype("datetime64[D]")) / np.timedelta64(24, "h")
    return annual * (3 * np.cos(2 * np.pi * y) - np.sin(4 * np.pi * y)) + diurnal * (
        2 * np.cos(2 * np.pi * h) + np.cos(4 * np.pi * h)
    )


def chunks(frames, times, size=100):
    return ((frames[i : i + size], None if times is None else times[i : i + size]) for i in range(0, len(frames), size))


def test_persistence_repeats_the_last_frame():
    x = torch.randn(2, 3, 1, 4, 5)
    forecast = persistence(x, 4)
    assert forecast.shape == (2, 4, 1, 4, 5)
    assert all(torch.equal(forecast[:, t], x[:, -1]) for t in range(4))
    with pytest.raises(ValueError, match=r"\(B, T, C, H, W\)"):
        persistence(x[0], 4)


def test_seasons_are_recovered_and_hold_in_other_years():
    frames, times = series("2001-01-01", "2004-01-01", noise=0.5)
    climatology = Climatology.fit(chunks(frames, times))
    expected, later = series("2009-03-05", "2009-03-08")
    forecast = climatology.at(later.reshape(2, 6))
    assert forecast.shape == (2, 6, 2, 3, 4) and forecast.dtype == torch.float32
    assert (forecast.flatten(0, 1) - torch.from_numpy(expected)).abs().max() < 0.1
    assert_close(climatology.mean, frames.mean(0, dtype=np.float64).astype(np.float32))


@pytest.mark.parametrize(
    "hours, start, stop, annual",
    [(1, "2001-01-01", "2001-02-01", 0.0), (6, "2001-01-01", "2002-01-01", 1.0), (12, "2001-01-01", "2002-01-01", 1.0)],
)
def test_day_is_recovered_as_far_as_the_data_resolve_it(hours, start, stop, annual):
    frames, times = series(start, stop, hours, annual=annual, diurnal=1.0)
    climatology = Climatology.fit(chunks(frames, times))
    error = (climatology.at(times[None])[0] - torch.from_numpy(frames)).abs().max()
    seen = cycle(times, 0.0, 1.0)
    if hours == 1:  # both harmonics
        assert error < 1e-3
    elif hours == 6:  # the second has no sine at four times a day and is left out; it is a cosine of size 1 here
        assert 0.9 < error < 1.1
    else:  # midnight and noon: their difference is left out
        assert_close(float(error), float(np.abs(seen - seen.mean()).max()), rtol=0.1)


@pytest.mark.parametrize(
    "start, stop, diurnal",
    [
        ("2001-01-01", "2001-11-20", 0.0),  # a month is missing
        ("2001-01-31", "2001-12-02", 0.0),  # every month, but ten months in all
        ("2001-01-01", "2001-01-08", 1.0),  # a few days
    ],
)
def test_too_little_for_a_cycle_gives_the_mean(start, stop, diurnal):
    frames, times = series(start, stop, 3, diurnal=diurnal)
    climatology = Climatology.fit(chunks(frames, times))
    assert_close(climatology.at(times[None, :3])[0, 1], frames.mean(0, dtype=np.float64), rtol=1e-3)


def test_without_times_the_mean():
    frames, times = series("2001-01-01", "2001-02-01")
    climatology = Climatology.fit(chunks(frames, None))
    mean = frames.mean(0, dtype=np.float64).astype(np.float32)
    assert climatology.at(None).shape == (1, 1, 2, 3, 4)
    assert_close(climatology.at(None)[0, 0], mean)
    assert climatology.at(times[:6].reshape(2, 3)).shape == (2, 3, 2, 3, 4)
    assert_close(climatology.at(times[:6].reshape(2, 3))[1, 2], mean)
    assert_close(Climatology.fit(chunks(frames, times)).at(None)[0, 0], mean)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(st.integers(30, 700), st.randoms())
def test_order_and_size_of_chunks_do_not_matter(size, random):
    frames, times = series("2001-01-01", "2002-01-01", 12, noise=0.5)
    shuffled = list(chunks(frames, times, size))
    random.shuffle(shuffled)
    whole, parts = Climatology.fit([(frames, times)]), Climatology.fit(shuffled)
    assert_close(parts.at(times[None]), whole.at(times[None]))


def test_times_that_leave_terms_undetermined_give_finite_values():
    """Thirteen frames at three times of the day cannot tell seven terms from each other everywhere."""
    times = [f"2001-{month:02d}-01T{8 * (month % 3):02d}" for month in range(1, 13)] + ["2001-12-31T00"]
    times = np.array(times, dtype="datetime64[h]")
    frames = np.ones((13, 1, 2, 2), np.float32) * 5
    assert_close(Climatology.fit([(frames, times)]).at(times[None])[0], frames, rtol=1e-3)


FRAMES, TIMES = series("2001-01-01", "2001-01-20")
HOLED = FRAMES.copy()
HOLED[3, 1, 2, 3] = np.nan


@pytest.mark.parametrize(
    "pieces, message",
    [
        ([], "no frames"),
        ([(FRAMES[:0], None)], "no frames"),
        ([(HOLED, TIMES)], "NaN or infinite"),
        ([(HOLED, None)], "NaN or infinite"),
        ([(FRAMES, TIMES[1:])], "75 times for 76 frames"),
        ([(FRAMES, TIMES), (FRAMES, None)], "some have none"),
        ([(FRAMES, TIMES), (FRAMES[:, :, :2], TIMES)], r"\(2, 2, 4\) after frames of shape \(2, 3, 4\)"),
        ([(FRAMES, TIMES.astype(int))], "datetime64 without NaT"),
        ([(FRAMES[:1], np.array(["NaT"], dtype="datetime64[h]"))], "without NaT"),
    ],
)
def test_bad_frames(pieces, message):
    with pytest.raises(ValueError, match=message):
        Climatology.fit(pieces)
