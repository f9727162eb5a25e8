"""The recurrent methods of the built-in host: parity with measurements of OpenSTL, sampling, patches, errors."""

import json
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from comparison import assert_close
from filling import fill, normal
from measure_recurrent import FRAMES, PARITY, VARIANTS, build, forecast, measure, train

from openstl_svq import host
from openstl_svq.host.builtin import models
from openstl_svq.host.builtin.methods import method_maps
from openstl_svq.host.builtin.methods.recurrent import RecurrentMethod
from openstl_svq.host.builtin.modules import sampling
from openstl_svq.host.builtin.modules.recurrent import from_patches, to_patches

MEASURED = json.loads((PARITY / "recurrent.json").read_text())["variants"]
FORECASTS = np.load(PARITY / "recurrent.npz")

each_variant = pytest.mark.parametrize("variant", VARIANTS)
each_method = pytest.mark.parametrize("variant", sorted({method for method, _ in VARIANTS.values()}))


def test_measured_are_these_variants():
    assert {k: (v["method"], v["settings"]) for k, v in MEASURED.items()} == VARIANTS
    recurrent = {name for name, method in method_maps.items() if issubclass(method, RecurrentMethod)}
    assert {method for method, _ in VARIANTS.values()} == recurrent


def across_processors(variant: str) -> float:
    """PhyDNet's ten steps, OpenSTL's own too, blow another processor's rounding up to 3e-5."""
    return 1e-4 if "phydnet" in variant else 1e-5


@each_variant
def test_parity(variant):
    """Names, shapes and their order, norms, parameters; the forecast; ten losses with scheduled sampling on the way."""
    entry, frames = measure(build(method_maps, variant))
    expected = MEASURED[variant]
    assert list(entry["state_dict"].items()) == list(expected["state_dict"].items())
    for key in ("params", "fill_sha256", "norms"):
        assert entry[key] == expected[key], key
    np.testing.assert_allclose(frames, FORECASTS[variant], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(entry["losses"], expected["losses"], rtol=across_processors(variant))


@pytest.mark.openstl
@each_variant
def test_parity_with_openstl_itself(variant):
    """The measurement repeated; and the same initial weights from the same seed."""
    from openstl_svq.host import openstl

    torch.manual_seed(0)
    theirs = build(openstl.load().method_maps, variant)
    torch.manual_seed(0)
    ours = build(method_maps, variant)
    entry, frames = measure(theirs)
    np.testing.assert_allclose(forecast(ours).numpy(), frames, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(train(ours), entry["losses"], rtol=1e-5)
    np.testing.assert_allclose(entry["losses"], MEASURED[variant]["losses"], rtol=across_processors(variant))


# ---- the rollout -----------------------------------------------------------------------------------------------------


@each_method
def test_a_forecast_depends_on_its_input_alone(variant):
    """Not on the batch, on what the method has seen before, or on targets; and evaluation draws nothing."""
    method = build(method_maps, variant)
    first = forecast(method)
    train(method), fill(method.model).eval()
    x = normal(2, *FRAMES["in_shape"])
    with torch.no_grad():
        assert torch.equal(method(x, torch.full((2, 3, *x.shape[2:]), torch.nan)), first)
        assert_close(method(x[1:]), first[1:])
        only_input = sampling.only_input(2, 4, 3)
        rollout, _ = method.model(x, normal(2, 3, *x.shape[2:], seed=5), only_input)
    assert first.shape == (2, 3, *x.shape[2:])
    assert_close(rollout[:, -3:], first)


@each_method
def test_shown_frames_are_seen_and_others_are_not(variant):
    method = build(method_maps, variant).eval()
    x, y = normal(2, 7, 2, 8, 16).split((4, 3), dim=1)
    shown = torch.tensor([[True] * 6, [True, False, True, True, False, False]])
    with torch.no_grad():
        before, _ = method.model(x, y, shown)
        for t, sample in ((1, 0), (1, 1), (4, 0), (4, 1)):
            frames = torch.cat([x, y], dim=1)
            frames[sample, t] += 1
            after, _ = method.model(*frames.split((4, 3), dim=1), shown)
            changed = (after - before).abs().flatten(2).amax(dim=2) > 1e-4  # (sample, step)
            expected = torch.zeros(2, 6, dtype=torch.bool)
            expected[sample, t:] = shown[sample, t]
            assert torch.equal(changed, expected), (t, sample)


@each_method
def test_one_input_frame_and_another_length_at_call_time(variant):
    name, settings = VARIANTS[variant]
    config = {**FRAMES, **settings, "in_shape": [1, 2, 8, 16], "aft_seq_length": 5}
    method = method_maps[name](**config)
    with torch.no_grad():
        assert method(normal(1, 1, 2, 8, 16)).shape == (1, 5, 2, 8, 16)
        assert method(normal(3, 2, 2, 8, 16)).shape == (3, 5, 2, 8, 16)


@each_method
@pytest.mark.parametrize("lengths", [(4, 3), (1, 1)])
def test_every_trained_parameter_gets_a_gradient(variant, lengths):
    """Otherwise distributed training waits for it; what no equation has is frozen."""
    method = build(method_maps, variant)
    x, y = normal(2, sum(lengths), 2, 8, 16).split(lengths, dim=1)
    method.training_step((x, y), 0).backward()
    idle = [n for n, p in method.named_parameters() if p.requires_grad and p.grad is None]
    # MIM-N compares steps, so one step leaves it idle.
    assert [n for n in idle if lengths != (1, 1) or "stlstm_layer_diff" not in n] == []


def test_patches():
    frames = normal(2, 3, 2, 4, 6)
    patches = to_patches(frames, 2)
    assert patches.shape == (3, 2, 8, 2, 3)
    # Channels are (row, column, channel) of a patch.
    assert torch.equal(patches[1, 0, :, 1, 2], frames[0, 1, :, 2:4, 4:6].permute(1, 2, 0).flatten())
    assert torch.equal(from_patches(patches, 2), frames)


# ---- sampling --------------------------------------------------------------------------------------------------------


def shares(draw, steps, known=3, future=4):
    """Share of the samples to which each frame is shown, at each of ``steps``."""
    np.random.seed(0)  # noqa: NPY002
    return [draw(step, 4000, known, future).double().mean(dim=0) for step in steps]


def test_scheduled_sampling():
    def draw(*args):
        return sampling.scheduled(*args, changing_rate=0.1, stop_iter=8)

    for step, found in zip((0, 4, 7, 8, 100), shares(draw, (0, 4, 7, 8, 100))):
        future = 1 - 0.1 * (step + 1) if step < 8 else 0.0
        assert_close(found, torch.tensor([1.0] * 3 + [future] * 3).double(), atol=0.03, rtol=0)


def test_reverse_scheduled_sampling():
    def draw(*args):
        return sampling.reverse_scheduled(*args, step_1=10, step_2=20, exp_alpha=5)

    expected = {0: (0.5, 0.5), 9: (0.5, 0.5), 15: (1 - 0.5 * np.exp(-1), 0.25), 20: (1.0, 0.0)}
    for (known, future), found in zip(expected.values(), shares(draw, expected)):
        assert_close(found, torch.tensor([1.0] + [known] * 2 + [future] * 3).double(), atol=0.03, rtol=0)


def test_without_scheduled_sampling_nothing_of_the_future_is_shown():
    method = method_maps["convlstm"](**FRAMES, **VARIANTS["convlstm"][1] | {"scheduled_sampling": 0})
    assert method.shown(2, 4, 3).tolist() == [[True] * 4 + [False] * 2] * 2


def test_phydnet_forces_whole_batches():
    method = build(method_maps, "phydnet")
    all_shown, only_input = [True] * 6, [True] * 4 + [False] * 2
    assert method.shown(2, 4, 3).tolist() == [all_shown] * 2  # epoch 0: always
    type(method).global_step = 10  # epoch 400: never
    assert method.shown(2, 4, 3).tolist() == [only_input] * 2


@pytest.mark.parametrize(
    "settings, advice",
    [
        ({"sampling_stop_iter": 100}, "sampling_stop_iter=50, sampling_changing_rate=0.02"),
        (
            {"reverse_scheduled_sampling": 1, "r_sampling_step_1": 40, "r_sampling_step_2": 100},
            "r_sampling_step_1=20, r_sampling_step_2=50",
        ),
        ({"sampling_stop_iter": 50}, None),
        ({"scheduled_sampling": 0, "sampling_stop_iter": 100}, None),
    ],
)
def test_a_schedule_longer_than_the_run_is_said_once(settings, advice):
    method = method_maps["convlstm"](**FRAMES, **VARIANTS["convlstm"][1] | settings)
    method._trainer = SimpleNamespace(estimated_stepping_batches=50)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        method.on_fit_start()
    assert [advice in str(w.message) for w in found] == [True] * (advice is not None)


# ---- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model, settings, message",
    [
        ("ConvLSTM", {"patch_size": 3}, "8 x 16 cannot be divided into cells of 3 x 3.*Take cells of 2.*6 x 15"),
        ("PhyDNet", {"in_shape": (4, 1, 30, 32)}, "30 x 32 .*cells of 4 x 4.*Take cells of 2.*28 x 32"),
        ("MAU", {"in_shape": (4, 1, 12, 20), "sr_size": 8}, "cells of 8 x 8.*Take cells of 4.*8 x 16"),
        ("MAU", {"sr_size": 3}, "no power of two; take 4"),
        ("MAU", {"tau": 0}, "1 past step or more"),
        ("MAU", {"cell_mode": "norml"}, "unknown cell_mode 'norml'. Did you mean 'normal'?"),
        ("PhyDNet", {"patch_size": 8}, "patch_size=8.*take 4"),
        ("PredRNN", {"num_hidden": "8,16"}, "equally wide; take '8,8'"),
        ("E3DLSTM", {"num_hidden": "8,16"}, "equally wide; take '8,8'"),
        ("MIM", {"num_hidden": "8;8"}, "as in '64,64'; got '8;8'"),
        ("ConvLSTM", {"num_hidden": [8, 0]}, "positive whole numbers"),
        ("PredRNNpp", {"num_hidden": "8"}, "two or more"),
        ("ConvLSTM", {"filter_size": 4}, "take the odd size 3 or 5"),
        ("E3DLSTM", {"stride": 2}, "take stride=1"),
        ("ConvLSTM", {"in_shape": (4, 8, 16)}, r"four positive integers \(T, C, H, W\)"),
        ("ConvLSTM", {"patch_size": 0}, "patch_size must be 1 or more"),
    ],
)
def test_what_cannot_be_built(model, settings, message):
    arguments = {"in_shape": (4, 2, 8, 16), "aft_seq_length": 3} | settings
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        getattr(models, f"{model}_Model")(**arguments)


def test_what_cannot_be_built_is_said_before_data_are_loaded():
    from openstl_svq import config

    phydnet = method_maps["phydnet"]
    phydnet.check({**FRAMES, "patch_size": 2})
    with pytest.raises(ValueError, match="30 x 32 cannot be divided"):
        phydnet.check({**FRAMES, "in_shape": (4, 2, 30, 32)})
    if host.describe().name == "builtin":
        with pytest.raises(ValueError, match="32 x 64 cannot be divided into cells of 3 x 3"):
            config.resolve(["-m", "convlstm", "-d", "weather_sample", "--cfg_options", "patch_size=3"])
