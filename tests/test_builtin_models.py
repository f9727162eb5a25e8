"""The built-in SimVP: parity with measurements of OpenSTL (tests/parity/README.md), properties, errors."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import timm.layers
import torch
from comparison import assert_close
from filling import digest, fill, normal
from torch import nn

from openstl_svq.host.builtin.models import SimVP_Model
from openstl_svq.host.builtin.modules import list_translators

PARITY = Path(__file__).parent / "parity"
MODELS = json.loads((PARITY / "simvp_state_dicts.json").read_text())["models"]
INITIAL = json.loads((PARITY / "simvp_init_stats.json").read_text())["models"]
FILLED = json.loads((PARITY / "simvp_outputs.json").read_text())["models"]
COSTS = json.loads((PARITY / "param_flops.json").read_text())
OUTPUTS = np.load(PARITY / "simvp_outputs.npz")

TRANSLATORS = list(list_translators())
ATTENTION = ["vit", "swin", "uniformer"]

each_translator = pytest.mark.parametrize("name", TRANSLATORS)
each_measured = pytest.mark.parametrize("key", [*TRANSLATORS, "gsta_NS4"])


def measured(key):
    return fill(SimVP_Model(**MODELS[key]["arguments"])).eval()


def small(name, in_shape=(2, 1, 8, 16), **kwargs):
    """Two blocks at the least size every translator takes; the window of swin covers the latent height."""
    return fill(SimVP_Model(in_shape, **{"hid_S": 8, "hid_T": 24, "N_S": 2, "N_T": 2, "model_type": name} | kwargs))


def assert_parity(actual, key):
    """The criterion for which the data were verified: elementwise, rtol = atol = 1e-5."""
    np.testing.assert_allclose(actual.detach().numpy(), OUTPUTS[key], rtol=1e-5, atol=1e-5, err_msg=key)


# ---- parity ---------------------------------------------------------------------------------------------------------


def test_translators_are_those_measured():
    assert set(TRANSLATORS) == set(MODELS) - {"gsta_NS4"}
    assert all(list_translators().values())


@each_measured
def test_state_dict(key):
    state = SimVP_Model(**MODELS[key]["arguments"]).state_dict()
    actual = [(name, [list(t.shape), str(t.dtype).removeprefix("torch.")]) for name, t in state.items()]
    assert actual == list(MODELS[key]["state_dict"].items())


@each_measured
def test_norms_and_stochastic_depth(key):
    model = SimVP_Model(**MODELS[key]["arguments"])
    norms = {name: m for name, m in model.named_modules() if isinstance(getattr(m, "eps", None), float)}
    expected = MODELS[key]["norms"]
    assert norms.keys() == expected.keys()
    for name, norm in norms.items():
        assert norm.eps == expected[name]["eps"], name
        for attribute in {"num_groups", "momentum"} & expected[name].keys():
            assert getattr(norm, attribute) == expected[name][attribute], name
    rates = {}
    for name, module in model.named_modules():
        if hasattr(module, "drop_prob"):  # timm's ViT and Swin have one per branch
            rates.setdefault(name.rstrip("12"), []).append(module.drop_prob)
    assert {name: max(values) for name, values in rates.items()} == pytest.approx(MODELS[key]["drop_path_prob"])
    assert all(min(values) == max(values) for values in rates.values())


@each_measured
def test_initial_weights(key):
    draws = []
    for seed in range(3):
        torch.manual_seed(seed)
        draws.append(dict(SimVP_Model(**MODELS[key]["arguments"]).named_parameters()))
    assert draws[0].keys() == INITIAL[key].keys()
    for name, expected in INITIAL[key].items():
        values = torch.cat([draw[name].detach().flatten() for draw in draws]).double()
        if "constant" in expected:
            assert values.unique().tolist() == [pytest.approx(expected["constant"], rel=1e-6)], name
            continue
        standard_error = expected["std"] / len(values) ** 0.5
        assert abs(values.mean() - expected["mean"]) < 6 * standard_error, name
        assert abs(values.std() - expected["std"]) < 6 * standard_error, name
        normal_tails = expected["max_abs"] > 2 * expected["std"]  # a uniform distribution ends at 1.73 std
        assert (values.abs().max() > 2 * expected["std"]) == normal_tails, name


@each_measured
def test_fill_is_the_documented_one(key):
    assert digest(measured(key)) == FILLED[key]["fill_sha256"]


@each_measured
def test_outputs(key):
    model = measured(key)
    z = normal(*(2, 4, 16, 4, 8) if key == "gsta_NS4" else (2, 4, 16, 8, 16), seed=1)
    with torch.no_grad():
        assert_parity(model(normal(2, 4, 2, 16, 32)), f"full/{key}")
        assert_parity(model.hid(z), f"hid/{key}")
        assert_parity(model.hid(0.01 * z[:1]), f"hid_small/{key}")


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("name", ATTENTION)
def test_outputs_with_and_without_fused_attention(name, fused):
    timm.layers.set_fused_attn(fused, experimental=fused)  # swin's fused attention counts as experimental in timm
    try:
        model = measured(name)
    finally:
        timm.layers.set_fused_attn(True)
    assert {m.fused_attn for m in model.modules() if hasattr(m, "fused_attn")} == {fused}
    assert_parity(model(normal(2, 4, 2, 16, 32)), f"full/{name}")


@pytest.mark.parametrize("key, N_S", [("gsta", 2), ("gsta_NS4", 4)])
def test_encoder_and_decoder_outputs(key, N_S):
    model = measured(key)
    with torch.no_grad():
        latent, skip = model.enc(normal(2, 4, 2, 16, 32).flatten(0, 1))
        assert_parity(latent, f"enc_latent/NS{N_S}")
        assert_parity(skip, f"enc_skip/NS{N_S}")
        assert_parity(model.dec(latent, skip), f"dec/NS{N_S}")


def cost_cases():
    for size in ("weather_s_t2m", "taxibj", "weather_m_mv"):
        for name, cost in COSTS[size]["models"].items():
            yield pytest.param(COSTS[size]["arguments"] | {"model_type": name}, cost, id=f"{size}-{name}")
    for size, row in COSTS["paper_table_12"].items():
        yield pytest.param(row["openstl_arguments"], row["openstl"], id=f"table12-{size}")


@pytest.mark.parametrize("arguments, cost", list(cost_cases()))
def test_parameter_counts(arguments, cost):
    with torch.device("meta"):
        model = SimVP_Model(**arguments)
    assert sum(p.numel() for p in model.parameters()) == cost["params"]


@each_translator
def test_flops(name):
    """At TaxiBJ's size, to the last digit; attention is not fused, since fvcore counts a fused one as 0."""
    from fvcore.nn import FlopCountAnalysis

    expected = COSTS["taxibj"]["models"][name]
    arguments = COSTS["taxibj"]["arguments"] | {"model_type": name}
    timm.layers.set_fused_attn(False)
    try:
        model = SimVP_Model(**arguments).eval()
    finally:
        timm.layers.set_fused_attn(True)
    count = FlopCountAnalysis(model, torch.ones(1, *arguments["in_shape"]))
    count.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    with torch.no_grad():
        flops = count.by_module()
    assert {part: flops[part] for part in ("", "enc", "hid", "dec")} == {
        "": expected["flops"],
        "enc": expected["flops_enc"],
        "hid": expected["flops_hid"],
        "dec": expected["flops_dec"],
    }


# ---- properties -----------------------------------------------------------------------------------------------------


@each_translator
def test_samples_do_not_see_each_other(name):
    model, x = measured(name), normal(3, 4, 2, 16, 32)
    with torch.no_grad():
        together = model(x)
        alone = torch.cat([model(sample[None]) for sample in x])
        assert not torch.equal(together[0], together[1])
        assert_close(alone, together)
        assert torch.equal(model(x), together)  # deterministic, and the input is left as it was


@each_translator
def test_frames_see_each_other(name):
    model, x = measured(name), normal(1, 4, 2, 16, 32)
    other = x.clone()
    other[:, 0] += 1
    with torch.no_grad():
        change = (model(other) - model(x)).abs().amax(dim=(0, 2, 3, 4))
    assert (change > 1e-3).all()


@each_translator
def test_odd_and_tall_grids(name):
    """Latent grids 7 x 7, 16 x 4 and 5 x 9; swin's window of 4 does not tile the last."""
    for H, W in [(14, 14), (32, 8)] + [(10, 18)] * (name != "swin"):
        y = small(name, (2, 1, H, W)).eval()(normal(1, 2, 1, H, W))
        assert y.shape == (1, 2, 1, H, W)
        assert torch.isfinite(y).all()


@each_translator
def test_another_grid_at_call_time(name):
    model = small(name, (2, 1, 16, 16)).eval()
    x = normal(2, 2, 1, 16, 24)
    if name == "mlp":
        with pytest.raises(ValueError, match=r"grid of \(8, 8\), got \(8, 12\)"):
            model(x)
    else:
        rebuilt = small(name, (2, 1, 16, 24)).eval()
        assert_close(model(x), rebuilt(x))


@each_translator
def test_gradient_reaches_every_parameter(name):
    model = small(name, N_T=3, drop=0.0, drop_path=0.0).double()
    for module in model.modules():
        if hasattr(module, "drop_prob"):
            module.drop_prob = 0.0
    x = normal(2, 2, 1, 8, 16, dtype=torch.float64).requires_grad_()
    (model(x) * normal(2, 2, 1, 8, 16, seed=1, dtype=torch.float64)).sum().backward()
    gradients = {"input": x.grad} | {key: p.grad for key, p in model.named_parameters()}
    untouched = {key for key, gradient in gradients.items() if gradient is None or gradient.abs().max() < 1e-10}
    # pooling minus identity cancels what is constant over the grid
    assert untouched == {key for key in gradients if name == "poolformer" and key.endswith("norm1.bias")}


@each_translator
def test_gradcheck(name):
    model = small(name, (2, 1, 8, 8)).double().eval()
    x = normal(1, 2, 1, 8, 8, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(model, (x,), fast_mode=True)


@each_translator
def test_autocast_and_half_precision(name):
    model, x = measured(name), normal(1, 4, 2, 16, 32)
    with torch.no_grad():
        expected = model(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            actual = model(x)
        assert actual.dtype == torch.bfloat16
        assert_close(actual, expected, rtol=0.05)
        assert_close(model.double()(x.double()), expected)


@each_translator
def test_drop_rates_act_in_training_only(name):
    torch.manual_seed(0)
    without_path = {"incepu", "convmixer"}
    without_dropout = without_path | {"convnext", "hornet"}
    x = normal(4, 2, 1, 8, 16)
    for rates, without in [({"drop": 0.5}, without_dropout), ({"drop_path": 0.5}, without_path)]:
        model = small(name, **rates).train()
        model.hid.enc[0].apply(lambda m: setattr(m, "drop_prob", 0.0) if hasattr(m, "drop_prob") else None)
        for norm in model.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.eval()  # so that only the drops can tell two passes apart
        with torch.no_grad():
            assert torch.equal(model(x), model(x)) == (name in without), rates
            assert torch.equal(model.eval()(x), small(name).eval()(x)), rates


@pytest.mark.parametrize("in_place", [False, True])
def test_in_place_activations_change_no_number(in_place):
    model, x = small("gsta", act_inplace=in_place).eval(), normal(1, 2, 1, 8, 16)
    assert {m.inplace for m in model.modules() if isinstance(m, nn.SiLU)} == {in_place}
    y = model(x)
    y.sum().backward()
    reference = small("gsta").eval()
    assert torch.equal(y, reference(x))
    reference(x).sum().backward()
    for (key, actual), expected in zip(model.named_parameters(), reference.parameters(), strict=True):
        assert torch.equal(actual.grad, expected.grad), key


def test_uniformer_attends_where_the_width_stays():
    blocks = [type(stage.block).__name__ for stage in small("uniformer", hid_T=24, N_T=4).hid.enc]
    assert blocks == ["LocalBlock", "GlobalBlock", "GlobalBlock", "LocalBlock"]
    blocks = [type(stage.block).__name__ for stage in small("uniformer", hid_T=16, N_T=4).hid.enc]  # T * hid_S = 16
    assert blocks == ["LocalBlock", "GlobalBlock", "GlobalBlock", "GlobalBlock"]


def test_swin_shifts_every_second_window():
    shifts = [stage.block.shift_size for stage in small("swin", (2, 1, 16, 32), N_T=3).hid.enc]
    assert shifts == [(0, 0), (2, 2), (0, 0)]
    narrow = small("swin", (2, 1, 4, 16)).hid.enc[1].block  # the window covers the latent height of 2
    assert (narrow.window_size, narrow.shift_size) == ((2, 2), (0, 0))


def test_an_odd_number_of_stages_counts_as_the_even_one_below():
    x = normal(1, 2, 1, 8, 16)
    assert torch.equal(small("gsta", N_S=3).eval()(x), small("gsta", N_S=2).eval()(x))


@pytest.mark.parametrize(
    "name, same", [("gSTA", "gsta"), (None, "gsta"), ("MLPMixer", "mlp"), ("moganet", "moga"), ("ViT", "vit")]
)
def test_names_of_translators(name, same):
    assert small(name).state_dict().keys() == small(same).state_dict().keys()


def test_incepu_without_groups():
    """Where 8 groups do not divide hid_T // 2 there is one group, as in OpenSTL."""
    convolution = small("incepu", hid_T=20).hid.enc[0].layers[0].conv
    assert convolution.groups == 1
    assert small("incepu", hid_T=32).hid.enc[0].layers[0].conv.groups == 8


@each_translator
def test_state_dict_is_all_there_is(name):
    """A fresh model with the trained one's state dict, or a copy of it, gives the same numbers."""
    model, x = small(name).eval(), normal(1, 2, 1, 8, 16)
    fresh = SimVP_Model((2, 1, 8, 16), hid_S=8, hid_T=24, N_S=2, N_T=2, model_type=name).eval()
    assert not torch.equal(fresh(x), model(x))
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh(x), model(x))
    assert torch.equal(copy.deepcopy(model)(x), model(x))


# ---- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"model_type": "gtsa"}, r"unknown model_type 'gtsa'. Did you mean 'gsta'\? Available: .*incepu, .*tau"),
        ({"model_type": "mogannet"}, "Did you mean 'moga'"),
        ({"in_shape": (2, 1, 8)}, r"four positive integers \(T, C, H, W\), got \(2, 1, 8\)"),
        ({"in_shape": (2, 1, 8, 16.0)}, "four positive integers"),
        ({"in_shape": (2, 0, 8, 16)}, "four positive integers"),
        ({"in_shape": None}, "four positive integers.*got None"),
        ({"in_shape": (2, 1, 33, 64), "N_S": 4}, "height 33 .* downsampling of 4 .*nearest that can: 32 and 36"),
        ({"in_shape": (2, 1, 32, 3), "N_S": 4}, "width 3 .*nearest that can: 4"),
        ({"hid_S": 7}, "hid_S=7: .* even number"),
        ({"hid_T": 1}, "hid_T=1: .* at least 2 channels"),
        ({"N_S": 1}, "N_S=1: .* at least 2 stages"),
        ({"N_T": 1}, "N_T=1: .* at least 2 blocks"),
        ({"spatio_kernel_enc": 4}, "spatio_kernel_enc=4: .* odd"),
        ({"spatio_kernel_dec": 2}, "spatio_kernel_dec=2: .* odd"),
        ({"mlp_ratio": 0.01}, "mlp_ratio=0.01 leaves no hidden units"),
        ({"drop": 1.0}, r"drop=1.0: .*\[0, 1\)"),
        ({"drop_path": -0.1}, r"drop_path=-0.1: .*\[0, 1\)"),
        ({"model_type": "vit", "hid_T": 20}, "vit: 20 channels do not divide into 8 attention heads"),
        ({"model_type": "swin", "hid_T": 20}, "swin: 20 channels do not divide into 8 attention heads"),
        ({"model_type": "uniformer", "hid_T": 20, "N_T": 3}, "uniformer: 20 channels do not divide into 8 attention"),
        ({"model_type": "hornet", "hid_T": 20}, "hornet: 20 channels do not divide into 8 parts"),
        ({"model_type": "moga", "hid_T": 20}, "moga: 20 channels do not divide into 8 parts"),
        ({"model_type": "incepu", "in_shape": (3, 1, 8, 16), "hid_S": 6, "hid_T": 16}, "incepu: 18 channels do not"),
        ({"model_type": "tau", "hid_T": 3}, "tau: needs at least 4 channels"),
        ({"model_type": "swin", "in_shape": (2, 1, 10, 18)}, "windows of 4 x 4 do not tile the latent grid of 5 x 9"),
    ],
)
def test_bad_arguments(arguments, message):
    defaults = {"in_shape": (2, 1, 8, 16), "hid_S": 8, "hid_T": 24, "N_S": 2, "N_T": 2}
    with pytest.raises(ValueError, match=message):
        SimVP_Model(**defaults | arguments)


@pytest.mark.parametrize(
    "shape, message",
    [
        ((2, 1, 8, 16), r"expected input of shape \(B, 2, 1, H, W\), got \(2, 1, 8, 16\)"),
        ((1, 3, 1, 8, 16), r"expected .* got \(1, 3, 1, 8, 16\)"),
        ((1, 2, 2, 8, 16), r"expected .* got \(1, 2, 2, 8, 16\)"),
        ((1, 2, 1, 9, 16), "height 9 .*nearest that can: 8 and 10"),
        ((1, 2, 1, 8, 17), "width 17 .*nearest that can: 16 and 18"),
    ],
)
def test_bad_input_shape(shape, message):
    with pytest.raises(ValueError, match=message):
        small("gsta")(torch.zeros(shape))


def test_swin_refuses_a_grid_its_window_does_not_tile():
    with pytest.raises(ValueError, match="windows of 4 x 4 do not tile the latent grid of 5 x 8"):
        small("swin")(torch.zeros(1, 2, 1, 10, 16))


def test_unknown_arguments_are_refused():
    with pytest.raises(TypeError, match="hid_X"):
        SimVP_Model((2, 1, 8, 16), hid_X=3)
