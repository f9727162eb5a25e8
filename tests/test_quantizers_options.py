"""Options that the paper does not have: the output's form, the rate and the steps of the fold."""

import math

import pytest
import torch
from comparison import assert_close

from openstl_svq.quantizers import SVQ, build_quantizer, svq

FORMS = [{"norm": "batch"}, {"norm": "group"}, {"residual": True}, {"norm": "batch", "residual": True}]
LR = 1e-3


def latent(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def build(name="svq", **settings):
    torch.manual_seed(0)
    return build_quantizer(name, 8, **{"codebook_size": 50, "hidden_dim": 12} | settings)


@pytest.mark.parametrize("name", ["svq", "mlp"])
def test_the_default_is_the_paper_to_the_last_bit(name):
    plain = build(name)
    assert not any(key.startswith("output") for key in plain.state_dict())
    options = build(name, norm=None, residual=False, init_scale=1.0)
    z = latent(2, 8, 4, 5)
    assert torch.equal(options(z).quantized, plain(z).quantized)
    if name == "svq":
        expected = plain._hidden(z.movedim(1, -1).reshape(-1, 8)) @ plain.fold()[0].t() + plain.fold()[1]
        assert_close(plain(z).quantized.movedim(1, -1).reshape(-1, 8), expected)


@pytest.mark.parametrize("settings", [f for f in FORMS if "residual" in f], ids=str)
@pytest.mark.parametrize("name", ["svq", "mlp"])
def test_a_residual_form_begins_as_the_identity_and_learns(name, settings):
    quantizer, z = build(name, **settings), latent(2, 8, 4, 5)
    assert torch.equal(quantizer(z).quantized, z)
    optimizer = torch.optim.Adam(quantizer.parameters(), lr=0.1)
    for _ in range(2):  # the first moves the scale, and the scale then lets the rest move
        optimizer.zero_grad()
        (quantizer(z).quantized + z).square().mean().backward()
        optimizer.step()
    assert (quantizer(z).quantized - z).abs().max() > 0.05
    assert all(p.grad.abs().max() > 0 for p in quantizer.parameters())


def test_the_formula_of_each_form():
    z = latent(3, 8, 4, 5)
    q = build()(z).quantized
    batch, group = (build(norm=norm)(z).quantized for norm in ("batch", "group"))
    assert_close(batch, (q - q.mean((0, 2, 3), keepdim=True)) / q.std((0, 2, 3), correction=0, keepdim=True), rtol=1e-3)
    halves = q.reshape(3, 2, 4, 4, 5)
    normed = (halves - halves.mean((2, 3, 4), keepdim=True)) / halves.std((2, 3, 4), correction=0, keepdim=True)
    assert_close(group, normed.reshape(3, 8, 4, 5), rtol=1e-3)
    residual = build(residual=True)
    residual.output.scale.data = torch.arange(8.0)
    assert_close(residual(z).quantized, z + torch.arange(8.0)[:, None, None] * q)
    scaled = build(init_scale="1/N")
    assert_close(scaled.codebook, build().codebook / 50)


@pytest.mark.parametrize("settings", FORMS, ids=str)
@pytest.mark.parametrize("form", ["folded", "reference"])
def test_fuse_keeps_the_form(settings, form):
    quantizer = build(form=form, **settings)
    z = latent(2, 8, 4, 5)
    for parameter in quantizer.output.parameters():
        parameter.data += 0.5
    quantizer(z)  # running statistics
    quantizer.eval()
    assert_close(quantizer.fuse()(z).quantized, quantizer(z).quantized)
    for dtype in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", dtype=dtype):
            output = quantizer(z.to(dtype)).quantized
        assert output.dtype == dtype and (output - quantizer(z).quantized).norm() < 0.02 * quantizer(z).quantized.norm()


def layer_of(quantizer):
    return quantizer.fold()[0].detach().clone()


def moved(quantizer, optimizer, steps=3):
    """Root mean square of the change of the fold's entries, and of its offset's, over some steps."""
    before, offset = layer_of(quantizer), quantizer.fold()[1].detach().clone()
    for step in range(steps):
        z, target = (latent(4, quantizer.dim, 6, 6, seed=s).to(next(quantizer.parameters())) for s in (step, 100))
        optimizer.zero_grad()
        (quantizer(z).quantized - 1e4 * target).abs().mean().backward()  # a gradient that does not turn
        optimizer.step()
    return [
        (a - b).square().mean().sqrt().item() for a, b in ((layer_of(quantizer), before), (quantizer.fold()[1], offset))
    ]


def optimizer_of(quantizer, rule, width=True):
    factor = quantizer.width_factor(adaptive=rule is torch.optim.Adam) if width else 1
    chosen = quantizer.codebook_parameters()
    return rule([{"params": chosen, "lr": LR * factor}])


CASES = [
    {},
    {"codebook_size": 10, "hidden_dim": 10},
    {"codebook_size": 100_000},
    {"hidden_dim": 256},
    {"dim": 32},
    {"init": "normal"},
    {"init": "orthogonal"},
    {"init": "trunc_normal"},
    {"init": "sparse"},
    {"hidden_dim": None},
    {"learn_codebook": False},
    {"learn_projection": False},
    {"init_scale": "1/N"},
    {"init_scale": 3.0},
]


@pytest.mark.parametrize("settings", CASES, ids=str)
def test_width_moves_the_fold_as_a_layer_of_its_shape(settings):
    """With Adam the layer moves by the learning rate in each step, and so must the fold."""
    torch.manual_seed(0)
    quantizer = SVQ(**{"dim": 16, "codebook_size": 1000, "hidden_dim": 64} | settings)
    fold, _ = moved(quantizer, optimizer_of(quantizer, torch.optim.Adam))
    assert fold == pytest.approx(3 * LR, rel=0.35)


def test_width_makes_the_movement_equal_from_10_to_100000_codes():
    movements, as_published = {}, {}
    for codes in (10, 100, 1000, 10_000, 100_000):
        for width, found in ((True, movements), (False, as_published)):
            torch.manual_seed(0)
            quantizer = SVQ(16, codebook_size=codes, hidden_dim=10)
            found[codes] = moved(quantizer, optimizer_of(quantizer, torch.optim.Adam, width))
    for part in (0, 1):
        values = [m[part] for m in movements.values()]
        assert max(values) < 1.5 * min(values), values
    assert as_published[100_000][0] > 1000 * as_published[10][0]


def test_the_control_moves_as_far():
    torch.manual_seed(0)
    quantizer = SVQ(16, codebook_size=10_000, hidden_dim=64)
    control = build_quantizer("mlp", 16, codebook_size=10_000, hidden_dim=64)
    control.proj_in.requires_grad_(False)
    direct = moved(control, torch.optim.Adam(control.proj_out.parameters(), lr=LR))
    for ours, theirs in zip(moved(quantizer, optimizer_of(quantizer, torch.optim.Adam)), direct):
        assert ours == pytest.approx(theirs, rel=0.25)


@pytest.mark.parametrize("codes", [100, 10_000])
@pytest.mark.parametrize("init", ["kaiming_uniform", "normal", "sparse"])
def test_width_by_gradient_descent(codes, init):
    torch.manual_seed(0)
    quantizer = SVQ(16, codebook_size=codes, hidden_dim=64, init=init).double()
    control = quantizer.fuse()
    found = moved(quantizer, optimizer_of(quantizer, torch.optim.SGD), steps=1)[0]
    assert found == pytest.approx(
        moved(control, torch.optim.SGD(control.proj_out.parameters(), lr=LR), steps=1)[0], rel=0.3
    )


@pytest.mark.parametrize("init", svq.CODEBOOK_INITS)
def test_deviations_are_those_of_the_initial_codebooks(init):
    torch.manual_seed(0)
    measured = SVQ(32, codebook_size=2000, init=init).codebook.square().mean().sqrt().item()
    assert svq._DEVIATIONS[init](2000, 32) == pytest.approx(measured, rel=0.03)


@pytest.mark.parametrize("limit", [0.01, 0.5])
def test_limit_step(limit):
    quantizer = build(codebook_size=400)
    before, fold = quantizer.codebook_state(), layer_of(quantizer)
    optimizer = torch.optim.Adam(quantizer.parameters(), lr=0.05)
    quantizer(latent(2, 8, 4, 5)).quantized.square().mean().backward()
    optimizer.step()
    stepped = [p - b for p, b in zip(quantizer.codebook_parameters(), before)]
    change = (layer_of(quantizer) - fold).norm() / fold.norm()
    assert change > 0.5
    quantizer.limit_step(before, limit)
    share = [((p - b) / s).flatten() for p, b, s in zip(quantizer.codebook_parameters(), before, stepped)]
    limited = (layer_of(quantizer) - fold).norm() / fold.norm()
    assert 0.3 * limit < limited <= limit * (1 + 1e-5)
    shares = torch.cat(share)
    assert shares.median() < 1 and torch.allclose(shares, shares.median().expand_as(shares), rtol=1e-2)


def test_limit_step_leaves_small_steps_alone():
    quantizer = build()
    before = quantizer.codebook_state()
    quantizer.limit_step(before, 0.1)  # nothing moved
    quantizer.codebook.data += 1e-6
    expected = quantizer.codebook.detach().clone()
    quantizer.limit_step(before, 0.1)
    assert torch.equal(quantizer.codebook, expected)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"norm": "bach"}, "Did you mean 'batch'"),
        ({"residual": "yes"}, "residual must be True or False, got 'yes'"),
        ({"init_scale": 0}, "init_scale must be a number above 0, got 0"),
        ({"init_scale": -1.0}, "init_scale must be a number above 0"),
        ({"init_scale": math.nan}, "init_scale must be a number above 0, got nan"),
        ({"init_scale": "N"}, "init_scale must be a number above 0, got 'N'"),
    ],
)
@pytest.mark.parametrize("name", ["svq", "mlp"])
def test_bad_options(name, settings, message):
    with pytest.raises(ValueError, match=message):
        build(name, **settings)


def test_width_needs_something_that_moves_and_folds():
    with pytest.raises(ValueError, match="output_relu=True has none"):
        build(output_relu=True).width_factor(adaptive=True)
    with pytest.raises(ValueError, match="both are frozen"):
        build(learn_codebook=False, learn_projection=False).width_factor(adaptive=True)
