"""Eq. (1): the solvers against scikit-learn, LISTA and SVQ against the solvers' iterates."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from comparison import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Lasso

from openstl_svq.quantizers import SVQ, SVQRaw, build_quantizer
from openstl_svq.quantizers.sparse_coding import fista, ista, objective, shrink, step_size


def problem(tokens=6, codes=40, dim=12, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(n, dim, generator=rng, dtype=torch.float64) for n in (tokens, codes))


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**20),
    positive=st.booleans(),
    l1_weight=st.sampled_from([0.1, 0.5, 2.0]),
    codes=st.sampled_from([8, 40]),
)
def test_solvers_agree_with_scikit_learn(seed, positive, l1_weight, codes):
    x, codebook = problem(tokens=3, codes=codes, seed=seed)
    lasso = Lasso(alpha=l1_weight / x.shape[1], positive=positive, fit_intercept=False, tol=1e-12, max_iter=10**6)
    expected = np.stack([lasso.fit(codebook.numpy().T, token).coef_ for token in x.numpy()])
    for solver in (ista, fista):
        assert_close(solver(x, codebook, l1_weight, positive=positive), expected, rtol=1e-4, atol=1e-4)


def test_fista_needs_fewer_iterations():
    x, codebook = problem(tokens=10, codes=60)
    best = objective(x, fista(x, codebook, 0.1), codebook, 0.1)
    gaps = [
        (objective(x, solver(x, codebook, 0.1, iterations=100, tolerance=None), codebook, 0.1) - best).mean()
        for solver in (ista, fista)
    ]
    assert 0 <= gaps[1] < gaps[0] / 3


def test_fista_does_not_oscillate():
    x, codebook = problem(tokens=10, codes=60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # plain FISTA needs more than 20,000
        fista(x, codebook, 0.1, iterations=5000)


def test_ista_descends():
    x, codebook = problem()
    values = [objective(x, ista(x, codebook, 0.3, iterations=k, tolerance=None), codebook, 0.3) for k in range(1, 20)]
    assert all((after <= before).all() for before, after in itertools.pairwise(values))


def test_solver_warns_if_it_did_not_converge_and_checks_its_input():
    x, codebook = problem()
    with pytest.warns(RuntimeWarning, match="still change after 2 iterations"):
        ista(x, codebook, 0.1, iterations=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ista(x, codebook, 0.1, iterations=2, tolerance=None)
        assert ista(x, codebook, 1e6).eq(0).all()
    with pytest.raises(ValueError, match="same C"):
        fista(x[:, :3], codebook, 0.1)
    with pytest.raises(ValueError, match="l1_weight must be a number of at least 0"):
        fista(x, codebook, -1)


@pytest.mark.parametrize("positive", [False, True])
def test_shrink_is_the_proximal_map(positive):
    v = torch.linspace(-3, 3, 61, dtype=torch.float64)
    grid = torch.linspace(0 if positive else -4, 4, 8001, dtype=torch.float64)
    cost = (grid - v[:, None]).square() / 2 + 0.7 * grid.abs()
    assert_close(shrink(v, 0.7, positive), grid[cost.argmin(1)], atol=1e-3)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("iterations", [1, 2, 7])
def test_lista_starts_as_ista(iterations, positive):
    quantizer = SVQRaw(6, codebook_size=30, iterations=iterations, l1_weight=0.2, positive=positive).double()
    # rounded to float32 when it was built
    step = step_size(quantizer.codebook.detach())
    with torch.no_grad():
        quantizer.encode.copy_(step * quantizer.codebook)
        quantizer.recurrence.copy_(torch.eye(30) - step * quantizer.codebook @ quantizer.codebook.t())
        quantizer.threshold.fill_(step * 0.2)
    z = torch.randn(2, 6, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = ista(
        z.movedim(1, -1).reshape(-1, 6),
        quantizer.codebook.detach(),
        0.2,
        positive=positive,
        iterations=iterations,
        tolerance=None,
    )
    assert_close(quantizer(z, return_codes=True).weights.flatten(0, 2), expected)


def test_lista_with_any_parameters():
    quantizer = SVQRaw(6, codebook_size=30, iterations=2).double()
    for parameter in quantizer.parameters():
        torch.nn.init.normal_(parameter.data, std=0.3)
    z = torch.randn(1, 6, 3, 4, dtype=torch.float64)
    drive, theta = z[0].flatten(1).t() @ quantizer.encode.t(), quantizer.threshold.relu()
    first = drive.sign() * (drive.abs() - theta).relu()
    second = drive + first @ quantizer.recurrence.t()
    assert_close(
        quantizer(z, return_codes=True).weights[0].flatten(0, 1), second.sign() * (second.abs() - theta).relu()
    )


def test_lista_initialisation_in_float32():
    quantizer = SVQRaw(6, codebook_size=30, iterations=7, l1_weight=0.2)
    z = torch.randn(2, 6, 3, 4, generator=torch.Generator().manual_seed(0))
    expected = ista(z.movedim(1, -1).reshape(-1, 6), quantizer.codebook.detach(), 0.2, iterations=7, tolerance=None)
    output = quantizer(z, return_codes=True)
    assert_close(output.weights.flatten(0, 2), expected)
    assert_close(output.quantized, (expected @ quantizer.codebook).view(2, 3, 4, 6).movedim(-1, 1))
    loss = objective(z.movedim(1, -1).reshape(-1, 6), expected, quantizer.codebook.detach(), 0.2).mean() / 6
    assert_close(output.aux_loss, loss)


def test_lista_learns_to_solve_in_few_iterations():
    torch.manual_seed(0)
    quantizer = SVQRaw(8, codebook_size=32, iterations=3, learn_codebook=False)
    z = torch.randn(4, 8, 8, 8)
    x, codebook = z.movedim(1, -1).reshape(-1, 8), quantizer.codebook.detach()
    best = objective(x, fista(x, codebook, 0.1), codebook, 0.1).mean() / 8
    before = quantizer(z).aux_loss.item()
    optimizer = torch.optim.Adam(quantizer.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        loss = quantizer(z).aux_loss
        loss.backward()
        optimizer.step()
    assert loss - best < 0.5 * (before - best)


def test_one_step_is_the_post_relu_one_layer_svq():
    """Section 3.1: the first iterate for non-negative weights is eta ReLU(Z^T x - lambda)."""
    x, codebook = problem()
    step = step_size(codebook)
    quantizer = SVQ(12, codebook_size=40, hidden_dim=None, output_relu=True).double()
    with torch.no_grad():
        quantizer.codebook.copy_(codebook)
        quantizer.proj_out.weight.copy_(step * codebook)
        quantizer.proj_out.bias.fill_(-0.3 * step)
    output = quantizer(x.t().reshape(1, 12, 2, 3), return_codes=True)
    first = ista(x, codebook, 0.3, positive=True, iterations=1, tolerance=None)
    assert_close(output.weights.flatten(0, 2), first)
    assert_close(output.quantized.flatten(2)[0].t(), first @ codebook)


def test_one_step_is_a_two_layer_svq():
    """Section 3.1, signed: two ReLUs make the soft threshold, over the codes and their negatives."""
    x, codebook = problem()
    step = step_size(codebook)
    quantizer = SVQ(12, codebook_size=80, hidden_dim=80).double()
    with torch.no_grad():
        both = torch.cat([codebook, -codebook])
        quantizer.codebook.copy_(both)
        quantizer.proj_in.weight.copy_(both)
        quantizer.proj_in.bias.fill_(-0.3)
        quantizer.proj_out.weight.copy_(step * torch.eye(80, dtype=torch.float64))
        quantizer.proj_out.bias.zero_()
    quantized = quantizer(x.t().reshape(1, 12, 2, 3)).quantized
    first = ista(x, codebook, 0.3, iterations=1, tolerance=None)
    assert_close(quantized.flatten(2)[0].t(), first @ codebook)


def test_svq_raw_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="N x N matrix.*codebook_size = 10000000 is too large, at most"):
        SVQRaw(8, codebook_size=10**7)
    with pytest.raises(ValueError, match="iterations must be a positive integer"):
        build_quantizer("svq_raw", 8, iterations=0)
    quantizer = SVQRaw(8, codebook_size=64)
    quantizer.check_memory(1000)
    with pytest.raises(ValueError, match="5 iterations over .* tokens"):
        quantizer.check_memory(10**12)
