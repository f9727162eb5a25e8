"""Streamed usage statistics against direct computation and scipy."""

import math

import pytest
import torch
from comparison import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from openstl_svq.quantizers import SVQ, WeightStatistics, perplexity


def direct(weights):
    """A.4 as it is written, with everything in memory."""
    w = weights.double().flatten(0, -2)
    w = (w - w.mean()) / w.std(correction=0)
    expected = {"kurtosis": stats.kurtosis(w.flatten().numpy())}
    for theta in (2, 3):
        p = (w.abs() > theta).double().sum(0)
        p = p[p > 0] / p.sum()
        expected[f"perplexity_theta{theta}"] = math.exp(-(p * p.log()).sum()) if len(p) else 0.0
    expected["perplexity"] = (expected["perplexity_theta2"] + expected["perplexity_theta3"]) / 2
    expected["codebook_usage"] = ((w.abs() > 2).any(0)).double().mean().item()
    return expected


def streamed(chunks):
    statistics = WeightStatistics()
    for update in (statistics.update_moments, statistics.update_marks):
        for chunk in chunks:
            update(chunk)
    return statistics.compute()


def check(actual, expected):
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert actual[name].ndim == 0
        assert_close(actual[name].double(), torch.tensor(value, dtype=torch.float64), rtol=1e-6, what=name)


@pytest.mark.parametrize("relu", [False, True])
def test_svq_usage_equals_direct_computation(relu):
    torch.manual_seed(0)
    quantizer = SVQ(6, codebook_size=300, hidden_dim=8, output_relu=relu)
    z = torch.randn(4, 6, 5, 7)
    output = quantizer(z, return_codes=True, return_usage=True)
    check(output.usage, direct(output.weights.detach()))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**20), chunk=st.integers(1, 40), power=st.floats(0.5, 3))
def test_chunks_do_not_matter(seed, chunk, power):
    w = torch.randn(40, 30, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    w = w.sign() * w.abs() ** power
    check(streamed(w.split(chunk)), direct(w))


def test_moments_are_sound_far_from_zero():
    w = torch.randn(200, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64).pow(3)
    shifted = [c + 1e6 for c in w.split(7)]
    assert_close(streamed(shifted)["kurtosis"], streamed([w])["kurtosis"], rtol=1e-5)


def test_perplexity():
    assert perplexity(torch.tensor([5, 5, 5, 5])).item() == pytest.approx(4)
    assert perplexity(torch.tensor([0, 7, 0])).item() == pytest.approx(1)
    assert perplexity(torch.tensor([[0, 0], [1, 3]])).tolist() == pytest.approx([0, math.exp(stats.entropy([1, 3]))])


def test_constant_and_empty_weights():
    for chunks in ([torch.ones(4, 3)], [torch.ones(0, 3)]):
        usage = streamed(chunks)
        assert usage["perplexity"] == 0 and usage["codebook_usage"] == 0 and usage["kurtosis"].isnan()


def test_the_passes_have_an_order():
    statistics = WeightStatistics()
    with pytest.raises(RuntimeError, match="second pass"):
        statistics.compute()
    statistics.update_moments(torch.randn(4, 3))
    statistics.update_marks(torch.randn(4, 3))
    with pytest.raises(RuntimeError, match="second pass has begun"):
        statistics.update_moments(torch.randn(4, 3))


def test_usage_tokens_takes_an_even_sample():
    torch.manual_seed(0)
    quantizer = SVQ(6, codebook_size=300, hidden_dim=8)
    z = torch.randn(4, 6, 8, 8)
    quantizer.usage_tokens = 130  # of 256: every third token, as two is not prime to 256
    every_third = torch.cat(list(quantizer.regression_weights(z)))[::3]
    check(quantizer(z, return_usage=True).usage, direct(every_third))
