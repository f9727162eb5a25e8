"""SSIM of stacks of frames: scikit-image's numbers, and what must hold for any frames."""

import sys

import numpy as np
import pytest
import torch
from comparison import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity as by_frame

from openstl_svq.compiled import compiled
from openstl_svq.metrics import ssim

quick = settings(max_examples=15, deadline=None, derandomize=True)
compiled_only = pytest.mark.parametrize("form", ["compiled"], indirect=True)


@pytest.fixture(params=["compiled", "torch"], autouse=True)
def form(request, monkeypatch):
    """Both forms on the CPU, whatever the machine has."""
    if request.param == "torch":
        monkeypatch.setitem(sys.modules, "numba", None)
    else:
        pytest.importorskip("numba")
    return request.param


def frames(*shape, seed=0, dtype=torch.float32, noise=0.2):
    rng = np.random.default_rng(seed)
    true = rng.random(shape)
    pred = np.clip(true + noise * rng.standard_normal(shape), 0, 1)
    return tuple(torch.from_numpy(x).to(dtype) for x in (pred, true))


def by_scikit_image(pred, true, data_range=2.0):
    flat = zip(pred.flatten(0, -4).numpy(), true.flatten(0, -4).numpy())
    scores = [by_frame(p, t, channel_axis=0, data_range=data_range) for p, t in flat]
    return torch.tensor(np.array(scores)).view(pred.shape[:-3])


@pytest.mark.parametrize("shape", [(2, 3, 1, 16, 16), (2, 2, 3, 32, 20), (1, 4, 2, 9, 31), (3, 1, 1, 7, 7)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("data_range", [1.0, 2.0])
def test_equals_scikit_image(shape, dtype, data_range):
    pred, true = frames(*shape, dtype=dtype)
    rtol = 1e-5 if dtype == torch.float32 else 1e-10
    assert_close(ssim(pred, true, data_range=data_range), by_scikit_image(pred, true, data_range), rtol=rtol)


@pytest.mark.parametrize("level, spread", [(0.9, 0.0), (0.9, 0.01), (0.0, 0.0), (3.0, 1.0)])
def test_flat_frames_keep_their_digits(level, spread):
    """Where the variance is a small difference of large numbers, float32 must still be right to 1e-5."""
    noise = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 4, 1, 64, 64))).float()
    true = level + spread * noise[0]
    pred = true + 0.05 * noise[1]
    assert_close(ssim(pred, true), by_scikit_image(pred.double(), true.double()), rtol=1e-5)


def test_kelvins_in_float64():
    pred, true = (280 + 20 * x for x in frames(2, 3, 1, 16, 16, dtype=torch.float64))
    assert_close(ssim(pred, true), by_scikit_image(pred, true), rtol=1e-9)


@quick
@given(st.integers(7, 14), st.integers(7, 14), st.integers(1, 3), st.integers(0, 10))
def test_one_of_itself_and_symmetric(height, width, channels, seed):
    pred, true = frames(3, channels, height, width, seed=seed, dtype=torch.float64)
    assert_close(ssim(true, true), torch.ones(3, dtype=torch.float64))
    assert_close(ssim(pred, true), ssim(true, pred))
    assert (ssim(pred, true) < 1).all()
    assert_close(ssim(pred.transpose(-1, -2), true.transpose(-1, -2)), ssim(pred, true))


def test_many_planes_are_scored_as_each_alone():
    """More than one thread or one batch takes."""
    pred, true = frames(18, 1, 512, 512)
    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        scores = ssim(pred, true)
    finally:
        torch.set_num_threads(threads)
    assert_close(scores, torch.stack([ssim(p, t) for p, t in zip(pred, true)]), rtol=1e-6)


def test_nan_stays_in_its_frame():
    pred, true = frames(3, 1, 16, 16)
    scores = ssim(pred, true)
    pred[1, 0, 5, 5] = float("nan")
    assert_close(ssim(pred, true)[::2], scores[::2])
    assert ssim(pred, true)[1].isnan()


def test_no_frames_and_views():
    assert ssim(torch.zeros(0, 3, 1, 8, 8), torch.zeros(0, 3, 1, 8, 8)).shape == (0, 3)
    pred, true = (x.transpose(-1, -2)[..., ::2] for x in frames(2, 2, 32, 24))
    assert_close(ssim(pred, true), by_scikit_image(pred, true), rtol=1e-5)


@compiled_only
def test_nowhere_to_keep_the_compiled_code(monkeypatch):
    import numba

    njit, asked = numba.njit, []

    def nowhere(cache=False, **options):
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    monkeypatch.setattr(numba, "njit", nowhere)
    compiled.cache_clear()
    pred, true = frames(2, 1, 8, 8)
    assert_close(ssim(pred, true), by_scikit_image(pred, true), rtol=1e-5)
    assert asked == [True, False]
    compiled.cache_clear()


def test_inputs_stay_and_low_precision_is_computed_in_float32():
    pred, true = frames(2, 1, 8, 8)
    before = pred.clone()
    score = ssim(pred.requires_grad_(), true)
    assert torch.equal(pred, before) and not score.requires_grad
    rounded = pred.detach().bfloat16()
    assert torch.equal(ssim(rounded, true), ssim(rounded.float(), true))


def test_bad_shapes():
    with pytest.raises(ValueError, match="same shape"):
        ssim(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 9))
    with pytest.raises(ValueError, match="H, W >= 7"):
        ssim(torch.zeros(1, 1, 6, 8), torch.zeros(1, 1, 6, 8))
