"""SVQ: the folded form against the reference form, its memory, its variants and what it refuses."""

import pytest
import torch
from comparison import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from openstl_svq.quantizers import SVQ, FusedSVQ, memory, svq

VARIANTS = {
    "default": {},
    "one-layer": {"hidden_dim": None},
    "bucket": {"hidden_dim": 50},
    "fewer codes than hidden": {"codebook_size": 5},
    "frozen codebook": {"learn_codebook": False},
    "frozen mlp": {"learn_projection": False},
    "post-relu": {"output_relu": True},
    "post-relu one-layer": {"output_relu": True, "hidden_dim": None},
}
variants = pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)


def pair(dtype=torch.float32, **settings):
    """The same parameters in both forms."""
    settings = {"dim": 6, "codebook_size": 50, "hidden_dim": 8} | settings
    torch.manual_seed(0)
    folded, reference = SVQ(**settings).to(dtype), SVQ(**settings, form="reference").to(dtype)
    reference.load_state_dict(folded.state_dict())
    return folded, reference


def latent(*shape, dtype=torch.float32, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def gradients(quantizer, z, autocast=None):
    """Output, and gradient of the input and of every parameter that is trained."""
    z = z.clone().requires_grad_()
    with torch.autocast("cpu", dtype=autocast, enabled=autocast is not None):
        quantized = quantizer(z).quantized
    quantized.backward(latent(*z.shape, dtype=quantized.dtype, seed=2))
    named = {"output": quantized.detach(), "input": z.grad}
    return named | {name: p.grad for name, p in quantizer.named_parameters() if p.requires_grad}


@variants
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_folded_equals_reference(variant, dtype, monkeypatch):
    monkeypatch.setattr(svq, "_CHUNK_ENTRIES", 7 * 50)  # post-ReLU in several uneven chunks
    folded, reference = pair(dtype, **variant)
    z = latent(3, 6, 4, 5, dtype=dtype)
    actual, expected = gradients(folded, z), gradients(reference, z)
    assert actual.keys() == expected.keys()
    for name in expected:
        assert_close(actual[name], expected[name], what=name)


def test_folded_equals_reference_at_the_papers_size():
    folded, reference = pair(dim=32, codebook_size=10_000, hidden_dim=128)
    z = latent(1, 32, 8, 16)
    actual, expected = gradients(folded, z), gradients(reference, z)
    for name in expected:
        assert_close(actual[name], expected[name], what=name)


@variants
@pytest.mark.parametrize("form", ["folded", "reference"])
def test_gradcheck(variant, form):
    torch.manual_seed(0)
    quantizer = SVQ(**{"dim": 3, "codebook_size": 9, "hidden_dim": 4, "form": form} | variant).double()
    names, parameters = zip(*quantizer.named_parameters())

    def function(z, *values):
        return torch.func.functional_call(quantizer, dict(zip(names, values)), (z,)).quantized

    inputs = [
        latent(2, 3, 2, 2, dtype=torch.float64).requires_grad_(),
        *(p.detach().clone().requires_grad_(p.requires_grad) for p in parameters),
    ]
    assert torch.autograd.gradcheck(function, inputs)


@pytest.mark.parametrize("output_relu", [False, True])
@pytest.mark.parametrize("form", ["folded", "reference"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(dtype, form, output_relu):
    quantizer = pair(output_relu=output_relu, codebook_size=400)[form == "reference"]
    expected = gradients(quantizer, latent(2, 6, 4, 5))
    quantizer.zero_grad()
    actual = gradients(quantizer, latent(2, 6, 4, 5), autocast=dtype)
    for name in expected:  # in norm: post-ReLU, a weight near zero may change sides
        assert actual[name].dtype == torch.float32, name
        error = (actual[name] - expected[name]).norm() / expected[name].norm()
        assert error < {torch.bfloat16: 2e-2, torch.float16: 3e-3}[dtype] * (5 if output_relu else 1), name
    with torch.autocast("cpu", dtype=dtype):
        assert quantizer(latent(2, 6, 4, 5, dtype=dtype)).quantized.dtype == dtype
        assert all(w.dtype == torch.float32 for w in quantizer.regression_weights(latent(1, 6, 2, 2)))


def test_fold_is_formed_in_float32_whatever_the_precision():
    quantizer, _ = pair(codebook_size=2000)
    exact = quantizer.double().fold()
    quantizer.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for actual, expected in zip(quantizer.fold(), exact):
            assert actual.dtype == torch.float32
            assert_close(actual, expected, rtol=1e-5)
    assert all(t.dtype == torch.float32 for t in quantizer.half().fold())


def test_both_forms_have_the_same_state():
    folded, reference = pair()
    shapes = {
        "proj_in.weight": (8, 6),
        "proj_in.bias": (8,),
        "proj_out.weight": (50, 8),
        "proj_out.bias": (50,),
        "codebook": (50, 6),
    }
    for quantizer in (folded, reference, pair(learn_codebook=False)[0]):
        assert {name: tuple(t.shape) for name, t in quantizer.state_dict().items()} == shapes
    one_layer = pair(hidden_dim=None)[0].state_dict()
    assert {name: tuple(t.shape) for name, t in one_layer.items()} == {
        "proj_out.weight": (50, 6),
        "proj_out.bias": (50,),
        "codebook": (50, 6),
    }


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("form", ["folded", "reference"])
def test_any_shape_and_memory_layout(form, relu):
    quantizer = pair(output_relu=relu)[form == "reference"]
    z = latent(2, 6, 7, 10)
    expected = quantizer(z).quantized
    for layout in (
        z.contiguous(memory_format=torch.channels_last),
        z.transpose(2, 3).contiguous().transpose(2, 3),
        torch.stack([z, z], -1)[..., 1],
    ):
        actual = quantizer(layout).quantized
        assert actual.shape == z.shape
        assert_close(actual, expected)
    assert expected.is_contiguous()
    for shape in ((0, 6, 7, 5), (1, 6, 1, 1), (2, 6, 0, 3)):
        empty = quantizer(latent(*shape), return_codes=True, return_usage=True)
        assert empty.quantized.shape == shape
        assert empty.weights.shape == (shape[0], *shape[2:], 50)


class LargestTensor(TorchDispatchMode):
    """Records the number of elements of the largest tensor any operation returns."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.elements = max([self.elements, *(t.numel() for t in tree_leaves(result) if torch.is_tensor(t))])
        return result


@pytest.mark.parametrize("relu", [False, True])
def test_nothing_holds_tokens_times_codes(relu, monkeypatch):
    monkeypatch.setattr(svq, "_CHUNK_ENTRIES", 2**14)
    quantizer = SVQ(6, codebook_size=500, hidden_dim=8, output_relu=relu)
    largest = {}
    for tokens in (64, 640):
        with LargestTensor() as mode:
            output = quantizer(latent(tokens // 64, 6, 8, 8).requires_grad_(), return_usage=True)
            output.quantized.sum().backward()
            sum(1 for _ in quantizer.regression_weights(latent(tokens // 64, 6, 8, 8)))
        largest[tokens] = mode.elements
    assert max(largest.values()) <= 2 * 2**14  # two buffers; all weights are 320,000


def test_weights_are_those_of_the_reference_form():
    folded, reference = pair()
    z = latent(3, 6, 4, 5)
    expected = reference(z, return_codes=True).weights
    assert expected.shape == (3, 4, 5, 50)
    assert_close(folded(z, return_codes=True).weights, expected)
    assert_close(torch.einsum("bhwn,nc->bchw", expected, folded.codebook), folded(z).quantized)
    chunks = list(folded.regression_weights(z, chunk_tokens=7))
    assert [len(c) for c in chunks] == [7] * 8 + [4]
    assert_close(torch.cat(chunks).view_as(expected), expected)
    assert folded(z).weights is None and folded(z).indices is None and folded(z).usage is None


def test_streaming_weights_leaves_the_callers_gradient_mode_alone():
    folded, _ = pair()
    for weights in folded.regression_weights(latent(2, 6, 4, 5), chunk_tokens=3):
        assert torch.is_grad_enabled() and not weights.requires_grad


@pytest.mark.parametrize("hidden_dim", [8, None])
def test_fuse(hidden_dim):
    quantizer, _ = pair(torch.float64, hidden_dim=hidden_dim)
    before = torch.get_rng_state()
    fused = quantizer.eval().fuse()
    assert torch.equal(torch.get_rng_state(), before)
    assert isinstance(fused, FusedSVQ) and not fused.training
    assert sum(p.numel() for p in fused.parameters()) == ((6 + 1) * 8 + (8 + 1) * 6 if hidden_dim else (6 + 1) * 6)
    z = latent(2, 6, 3, 5, dtype=torch.float64)
    expected = quantizer(z).quantized
    assert_close(fused(z).quantized, expected)
    for parameter in fused.parameters():
        parameter.data += 1  # a copy: the quantizer it came from stays as it was
    assert_close(quantizer(z).quantized, expected)


def test_fuse_refuses_post_relu():
    with pytest.raises(ValueError, match="cannot be folded"):
        pair(output_relu=True)[0].fuse()


def test_frozen_parts_get_no_gradient():
    for learn_codebook in (True, False):
        for learn_projection in (True, False):
            quantizer, _ = pair(learn_codebook=learn_codebook, learn_projection=learn_projection)
            z = latent(2, 6, 3, 5).requires_grad_()
            quantizer(z).quantized.sum().backward()
            assert z.grad.abs().sum() > 0
            for name, parameter in quantizer.named_parameters():
                learned = learn_codebook if name == "codebook" else learn_projection
                assert (parameter.grad is not None) == learned, name


def test_initialisation_is_that_of_the_released_code():
    torch.manual_seed(3)
    quantizer = SVQ(32, codebook_size=5000)
    torch.manual_seed(3)
    for layer in (torch.nn.Linear(32, 128), torch.nn.Linear(128, 5000)):
        expected = layer
        actual = quantizer.proj_in if layer.in_features == 32 else quantizer.proj_out
        assert torch.equal(actual.weight, expected.weight) and torch.equal(actual.bias, expected.bias)
    assert torch.equal(quantizer.codebook, torch.nn.init.kaiming_uniform_(torch.empty(5000, 32)))


def test_codebook_initialisations():
    codebooks = {}
    for init in svq.CODEBOOK_INITS:
        torch.manual_seed(0)
        codebooks[init] = SVQ(32, codebook_size=2000, init=init).codebook.detach()
    assert codebooks["kaiming_uniform"].abs().max() <= (6 / 32) ** 0.5
    assert codebooks["kaiming_uniform"].std().item() == pytest.approx((2 / 32) ** 0.5, rel=0.02)
    assert (codebooks["sparse"] == 0).sum(0).eq(1800).all()
    assert codebooks["sparse"][codebooks["sparse"] != 0].std().item() == pytest.approx(0.01, rel=0.05)
    assert codebooks["trunc_normal"].abs().max() <= 2
    assert codebooks["trunc_normal"].std().item() == pytest.approx(0.8796, rel=0.02)  # of a normal cut at 2
    assert_close(codebooks["orthogonal"].t() @ codebooks["orthogonal"], torch.eye(32))
    assert codebooks["normal"].std().item() == pytest.approx(1, rel=0.02)
    assert codebooks["normal"].abs().max() > 3


def test_hidden_width_is_at_most_the_codebook_size():
    quantizer = SVQ(32, codebook_size=10, hidden_dim=128)
    assert quantizer.hidden_dim == 10 and quantizer.proj_in.out_features == 10
    assert SVQ(32, codebook_size=200, hidden_dim=128).hidden_dim == 128


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**20), relu=st.booleans())
def test_linear_in_the_codebook(seed, relu):
    quantizer, _ = pair(torch.float64, output_relu=relu)
    z = latent(1, 6, 3, 4, dtype=torch.float64, seed=seed)
    a, b = latent(2, 50, 6, dtype=torch.float64, seed=seed + 1)
    results = []
    for codebook in (a, b, 2 * a - 3 * b):
        quantizer.codebook.data = codebook
        results.append(quantizer(z).quantized)
    assert_close(results[2], 2 * results[0] - 3 * results[1])


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**20), relu=st.booleans())
def test_tokens_do_not_see_each_other(seed, relu):
    quantizer, _ = pair(torch.float64, output_relu=relu)
    z = latent(2, 6, 3, 4, dtype=torch.float64, seed=seed)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(seed))

    def permute(t):
        return t.movedim(1, -1).reshape(24, 6)[order].view(2, 3, 4, 6).movedim(-1, 1)

    assert_close(quantizer(permute(z)).quantized, permute(quantizer(z).quantized))


BAD = [
    ({"dim": 0}, "dim must be a positive integer"),
    ({"codebook_size": -5}, "codebook_size must be a positive integer, got -5; the smallest valid value is 1"),
    ({"codebook_size": 10.5}, "codebook_size must be a positive integer, got 10.5"),
    ({"hidden_dim": 0}, "hidden_dim must be a positive integer"),
    ({"init": "kaiming"}, "Did you mean 'kaiming_uniform'"),
    ({"form": "fold"}, "Did you mean 'folded'"),
    ({"output_relu": "False"}, "output_relu must be True or False"),
    ({"learn_codebook": 1}, "learn_codebook must be True or False"),
    ({"learn_projection": None}, "learn_projection must be True or False"),
]


@pytest.mark.parametrize("bad, message", BAD)
def test_bad_settings(bad, message):
    with pytest.raises(ValueError, match=message):
        SVQ(**{"dim": 6, "codebook_size": 50} | bad)


@pytest.mark.parametrize("z", [torch.zeros(2, 5, 3, 3), torch.zeros(2, 6, 9), torch.zeros(2, 6, 3, 3, dtype=torch.int)])
def test_bad_latent(z):
    with pytest.raises(ValueError, match=r"latent of shape \(N, 6, H, W\), or tokens of \(B, T, 6\), got"):
        SVQ(6, 50)(z)
    with pytest.raises(ValueError, match=r"latent of shape \(N, 6, H, W\), or tokens of \(B, T, 6\), got"):
        SVQ(6, 50).regression_weights(z)


def test_a_codebook_larger_than_memory_is_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"codebook_size = 10000000000 is too large, at most \d+ fits"):
        SVQ(32, codebook_size=10**10)
    quantizers = pair()
    monkeypatch.setattr(memory, "available_memory", lambda device: 80_000)  # two copies of 1000 weights: ten codes
    for quantizer in quantizers:
        if quantizer.form == "reference":
            with pytest.raises(ValueError, match='codebook_size = 50 is too large, at most 10 fits. form="folded"'):
                quantizer.check_memory(1000)
            with pytest.raises(ValueError, match="is too large"):
                quantizer(latent(10, 6, 10, 10))
        else:
            quantizer.check_memory(1000)
            quantizer(latent(10, 6, 10, 10))
            with pytest.raises(ValueError, match="is too large"):
                quantizer(latent(10, 6, 10, 10), return_codes=True)
