"""What every quantizer promises, over the live registry: a new entry is tested on arrival."""

import copy
import inspect

import pytest
import torch
from comparison import assert_close

from openstl_svq.quantizers import build_quantizer, list_quantizers, registry

DIM = 16


def build(name, **settings):
    torch.manual_seed(0)
    try:
        return build_quantizer(name, DIM, **settings)
    except ImportError as error:
        pytest.skip(str(error))


def settings_of(name):
    return inspect.signature(registry.QUANTIZERS[name]).parameters


def latent(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


every = pytest.mark.parametrize("name", list_quantizers())


@every
@pytest.mark.parametrize("shape", [(2, DIM, 5, 7), (1, DIM, 1, 1), (3, DIM, 4, 1)])
def test_output(name, shape):
    quantizer, z = build(name), latent(*shape).requires_grad_()
    plain = quantizer(z)
    assert plain.weights is None and plain.indices is None and plain.usage is None
    output = quantizer(z, return_codes=True, return_usage=True)
    assert output.quantized.shape == z.shape and output.quantized.dtype == z.dtype
    assert output.quantized.isfinite().all()
    assert output.aux_loss.shape == () and output.aux_loss.dtype == torch.float32 and output.aux_loss.isfinite()
    for codes in (output.weights, output.indices):
        assert codes is None or codes.shape[:3] == (shape[0], *shape[2:])
    if output.weights is None and output.indices is None:
        assert output.usage == {}
    else:
        assert all(value.shape == () for value in output.usage.values())
        assert 0 <= output.usage["codebook_usage"] <= 1
        assert 0 <= output.usage["perplexity"] <= quantizer.codebook_size * (1 + 1e-5)


@every
def test_tokens_are_quantized_as_latents_are(name):
    """(B, T, C): the same numbers as the same tokens in (N, C, H, W), in the other shape."""
    quantizer, z = build(name).eval(), latent(2, DIM, 5, 7)
    tokens = z.flatten(2).movedim(1, -1)  # (2, 35, C)
    frames, rows = (quantizer(v, return_codes=True, return_usage=True) for v in (z, tokens.contiguous()))
    assert rows.quantized.shape == tokens.shape and rows.quantized.dtype == z.dtype and rows.quantized.is_contiguous()
    assert_close(rows.quantized, frames.quantized.flatten(2).movedim(1, -1))
    assert_close(rows.aux_loss, frames.aux_loss)
    for one, other in ((rows.weights, frames.weights), (rows.indices, frames.indices)):
        assert (one is None) == (other is None)
        if one is not None:
            assert_close(one.float(), other.flatten(1, 2).float())
    assert rows.usage.keys() == frames.usage.keys()
    assert_close(quantizer(tokens).quantized, rows.quantized)  # a view, with the channels in front in memory
    if hasattr(quantizer, "regression_weights"):
        assert_close(torch.cat(list(quantizer.regression_weights(tokens))), rows.weights.flatten(0, 1))
    trained = build(name)
    trained(tokens.requires_grad_()).quantized.square().sum().backward()
    assert tokens.grad.isfinite().all() and tokens.grad.any()
    for wrong in (z.movedim(1, -1), tokens.movedim(1, -1), tokens[None], tokens.long()):
        with pytest.raises(ValueError, match="takes a floating-point latent"):
            quantizer(wrong)


@every
def test_gradient_reaches_the_input(name):
    quantizer, z = build(name), latent(2, DIM, 5, 7).requires_grad_()
    quantizer(z).quantized.square().sum().backward()
    assert z.grad.isfinite().all() and (z.grad != 0).any(dim=1).float().mean() > 0.5


def steps(quantizer, optimizer, seeds):
    """Trains an encoder's output through the quantizer for one step per seed; the losses."""
    losses = []
    for seed in seeds:
        torch.manual_seed(seed)
        z = latent(2, DIM, 5, 7, seed=seed)
        output = quantizer(z.requires_grad_())
        loss = (output.quantized - z.detach()).abs().mean() + output.aux_loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def prepare(name):
    quantizer = build(name)
    parameters = [p for p in quantizer.parameters() if p.requires_grad] or [torch.nn.Parameter(torch.zeros(1))]
    return quantizer, torch.optim.Adam(parameters, lr=1e-2)


@every
def test_trains_and_resumes_exactly(name):
    quantizer, optimizer = prepare(name)
    first = copy.deepcopy(quantizer.state_dict())
    steps(quantizer, optimizer, [1, 2])
    saved = copy.deepcopy((quantizer.state_dict(), optimizer.state_dict()))
    assert any(not torch.equal(saved[0][key], first[key]) for key in first)
    expected = steps(quantizer, optimizer, [3, 4])

    resumed, optimizer = prepare(name)
    for parameter in resumed.parameters():
        parameter.data.fill_(7)  # nothing of it may survive the loading
    resumed.load_state_dict(saved[0])
    optimizer.load_state_dict(saved[1])
    assert steps(resumed, optimizer, [3, 4]) == expected


@every
def test_evaluation_is_deterministic_and_changes_nothing(name):
    quantizer = build(name).eval()
    before = {key: value.clone() for key, value in quantizer.state_dict().items()}
    z = latent(2, DIM, 5, 7)
    with torch.no_grad():
        first = quantizer(z, return_codes=True)
        second = quantizer(z, return_codes=True)
    assert torch.equal(first.quantized, second.quantized)
    assert all(torch.equal(value, before[key]) for key, value in quantizer.state_dict().items())


@every
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(name, dtype):
    quantizer, z = build(name).eval(), latent(2, DIM, 5, 7)
    expected = quantizer(z).quantized
    with torch.autocast("cpu", dtype=dtype):
        actual = quantizer(z).quantized
        assert actual.dtype == z.dtype
        output = quantizer.train()(z.to(dtype).requires_grad_())
    assert (actual - expected).norm() < {torch.bfloat16: 2e-2, torch.float16: 3e-3}[dtype] * expected.norm()
    assert output.quantized.dtype == dtype and output.quantized.isfinite().all()
    assert output.aux_loss.dtype == torch.float32 and output.aux_loss.isfinite()


@every
def test_double_precision(name):
    quantizer, z = build(name).eval(), latent(2, DIM, 5, 7)
    expected = quantizer(z).quantized
    actual = quantizer.double()(z.double()).quantized
    assert actual.dtype == torch.float64
    assert_close(actual, expected, rtol=1e-4)


@every
def test_memory_layout_does_not_matter(name):
    quantizer = build(name).eval()
    z = latent(2, DIM, 5, 7)
    expected = quantizer(z).quantized
    assert_close(quantizer(z.contiguous(memory_format=torch.channels_last)).quantized, expected)
    assert_close(quantizer(z.transpose(2, 3).contiguous().transpose(2, 3)).quantized, expected)


@every
def test_tokens_are_quantized_one_by_one(name):
    quantizer, z = build(name).eval(), latent(2, DIM, 5, 7)
    assert_close(quantizer(z.flip(0, 2, 3)).quantized, quantizer(z).quantized.flip(0, 2, 3))


@every
def test_auxiliary_loss_weight(name):
    if not {"aux_loss_weight", "settings"} & settings_of(name).keys():
        assert build(name)(latent(2, DIM, 5, 7)).aux_loss == 0
        return
    losses = {
        weight: build(name, aux_loss_weight=weight)(latent(2, DIM, 5, 7).requires_grad_()).aux_loss.detach()
        for weight in (0.0, 1.0, 2.5)
    }
    assert losses[0.0] == 0
    assert_close(losses[2.5], 2.5 * losses[1.0])
    with pytest.raises(ValueError, match="aux_loss_weight must be a number of at least 0"):
        build(name, aux_loss_weight=-1)


@pytest.mark.parametrize("name", [n for n in list_quantizers() if "codebook_size" in settings_of(n)])
def test_one_codebook_size_for_all(name):
    """Table 13 sets every codebook to 1024."""
    quantizer = build(name, codebook_size=1024)
    assert getattr(quantizer, "codebook_size", 1024) == 1024
    output = quantizer(latent(2, DIM, 5, 7), return_codes=True)
    if output.indices is not None:
        assert output.indices.min() >= 0 and output.indices.max() < 1024
    elif output.weights is not None:
        assert output.weights.shape[-1] == 1024
    for bad in (0, -8, 2.5, "many"):
        with pytest.raises(ValueError, match="codebook_size must be a positive integer"):
            build(name, codebook_size=bad)


@every
def test_unknown_setting(name):
    with pytest.raises(ValueError, match="'no_such_setting'.*Available: "):
        build(name, no_such_setting=1)
