"""PredNet and DMVFN: their networks and losses against OpenSTL 0.3.0's, and what the papers say of them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from comparison import assert_close
from test_builtin_models import fill

from openstl_svq.benchmarks.methods_cost import methods_cost_table
from openstl_svq.methods import dmvfn as losses
from openstl_svq.models.dmvfn import DMVFN_Model, warp
from openstl_svq.models.prednet import PredNet_Model

MEASURED = np.load(Path(__file__).parent / "parity" / "prednet_dmvfn.npz")


def uniform(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).uniform(size=shape).astype(np.float32))


def prednet(in_shape=(3, 2, 16, 32), aft_seq_length=2, **more):
    return fill(PredNet_Model(in_shape, aft_seq_length, **{"stack_sizes": (in_shape[1], 6, 8)} | more)).eval()


def dmvfn(in_shape=(3, 2, 16, 32), aft_seq_length=2, routes=(0, 1, 0, 1), **more):
    """``routes``: which blocks run, whatever the frames are."""
    sizes = {"num_features": (16, 12, 8, 8), "scale": (4, 2, 1, 1), "routing_out_channels": 4} | more
    model = fill(DMVFN_Model(in_shape, aft_seq_length, **sizes)).eval()
    if routes is not None:
        model.routing[5].weight.data.zero_()
        model.routing[5].bias.data.copy_((torch.tensor(routes) - 1) * 1e4)
    return model


# the networks, measured


@torch.no_grad()
def test_prednet_forecasts_and_errs_as_openstl_does():
    x = uniform(2, 5, 2, 16, 32)
    assert_close(prednet()(x[:, :3]), MEASURED["prednet_forecast"])
    assert_close(prednet().errors(x), MEASURED["prednet_errors"])


@torch.no_grad()
@pytest.mark.parametrize("training", [True, False])
def test_dmvfn_refines_as_openstl_does(training):
    x = uniform(2, 3, 2, 16, 32, seed=1)
    assert_close(dmvfn().train(training).refinements(x[:, 1], x[:, 2]), MEASURED["dmvfn_refinements"])


@torch.no_grad()
def test_dmvfn_forecasts_from_forecasts_as_openstl_does():
    assert_close(dmvfn()(uniform(2, 3, 2, 16, 32, seed=1)), MEASURED["dmvfn_forecast"])


@pytest.mark.parametrize("side", [64, 32])
def test_laplacian_loss_is_openstls(side):
    a, b = (uniform(2, 3, side, side, seed=seed) for seed in (2, 3))
    assert_close(losses.laplacian_loss(a[None], b), MEASURED[f"laplacian_{side}"][None])


@pytest.mark.parametrize("method, count", [("prednet", 4), ("dmvfn", 3)])
def test_size_and_cost_are_those_of_table_12(method, count):
    rows = methods_cost_table(method=[method]).rows
    assert len(rows) == count and {row["agrees"] for row in rows} == {"yes"}


def test_the_cost_of_tau_is_that_of_table_12():
    (row,) = methods_cost_table(dataname=["taxibj"], method=["tau"]).rows
    assert (row["agrees"], row["params"]) == ("yes", 9_545_442)
    with pytest.raises(ValueError, match="unknown method of the table 'taux'.*Did you mean 'tau'"):
        methods_cost_table(method=["taux"])


# PredNet


@torch.no_grad()
def test_prednet_sees_no_frame_that_it_forecasts():
    x = uniform(1, 5, 2, 16, 32)
    model = prednet()
    seen = [prediction for prediction, _ in model._steps(x)]
    changed = x.clone()
    changed[:, 3] = 0
    for t, (a, (b, _)) in enumerate(zip(seen, model._steps(changed))):
        assert torch.equal(a, b) == (t <= 3)


@torch.no_grad()
def test_prednet_forecast_is_the_continuation_of_what_it_has_seen():
    x = uniform(1, 3, 2, 16, 32)
    assert_close(prednet(aft_seq_length=1)(x), prednet(aft_seq_length=2)(x)[:, :1])


@torch.no_grad()
def test_pixel_max_bounds_prednets_forecast():
    x = uniform(1, 3, 2, 16, 32)
    for highest in (1.0, 0.05):
        forecast = prednet(pixel_max=highest)(x)
        assert forecast.min() == 0 and forecast.max() <= highest
    assert prednet(pixel_max=None)(x).min() < 0


@pytest.mark.parametrize(
    "sizes, message",
    [
        (dict(in_shape=(4, 1, 28, 32)), "28 x 32 cannot be divided by 16.*3 entries or fewer.*frames of 32 x 32"),
        (dict(in_shape=(4, 1, 8, 8)), "8 x 8 cannot be divided by 16.*4 entries or fewer.*frames of 16 x 16"),
        (dict(in_shape=(4, 1, 7, 9)), "1 entries or fewer.*frames of 16 x 16"),
        (dict(in_shape=(4, 2, 16, 16), stack_sizes=(1, 8)), r"begins with the frames' channels, here 2; got \[1, 8\]"),
        (dict(in_shape=(4, 1, 16, 16), R_stack_sizes=(1, 8)), "R_stack_sizes must have 5 entries"),
        (dict(in_shape=(4, 1, 16, 16), A_filt_sizes=(3, 3)), r"A_filt_sizes must be one odd number, or 4 of them"),
        (dict(in_shape=(4, 1, 16, 16), R_filt_sizes=4), "R_filt_sizes must be one odd number"),
        (dict(in_shape=(4, 1, 16, 16), error_activation="relou"), "unknown error_activation 'relou'.*'relu'"),
    ],
)
def test_prednet_says_what_does_not_fit(sizes, message):
    with pytest.raises(ValueError, match=message):
        PredNet_Model(**sizes)


# DMVFN


@torch.no_grad()
def test_dmvfn_routes_the_same_way_in_every_evaluation_and_at_random_in_training():
    model = dmvfn(routes=None)
    x = uniform(4, 2, 2, 16, 32)
    drawn = set()
    for seed in range(8):
        torch.manual_seed(seed)
        routes = model.train()._routes(x[:, 0], x[:, 1])
        drawn.add(json.dumps(routes.tolist()))
        assert_close(model.eval()(x), model(x), rtol=0)
    assert len(drawn) > 1 and set(routes.unique().tolist()) <= {0.0, 1.0}


def test_routing_aims_at_beta_of_the_blocks_and_learns():
    model = dmvfn(routes=None, num_features=(4,) * 8, scale=(1,) * 8).train()
    x = uniform(2, 2, 2, 16, 32)
    torch.manual_seed(0)
    mean = torch.stack([model._routes(x[:, 0], x[:, 1]) for _ in range(400)]).mean()
    assert 0.45 < mean < 0.55
    model.refinements(x[:, 0], x[:, 1])[-1].sum().backward()
    assert model.routing[0].weight.grad.abs().max() > 0


@torch.no_grad()
def test_each_sample_has_its_own_blocks():
    model, x = dmvfn(routes=None), uniform(6, 2, 2, 16, 32)
    model.routing[5].weight.mul_(50)  # so that the samples differ
    routes = model._routes(x[:, 0], x[:, 1])
    assert len(routes.unique(dim=0)) > 1
    assert_close(model(x), torch.cat([model(sample) for sample in x.split(1)]))
    assert_close(model(x)[:, 0], model.refinements(x[:, 0], x[:, 1])[-1])


@torch.no_grad()
def test_blocks_that_no_sample_needs_are_not_run():
    model = dmvfn(routes=(0, 1, 0, 1))
    ran = []
    for number, block in enumerate(model.blocks):
        block.register_forward_hook(lambda *_, number=number: ran.append(number))
    model(uniform(2, 2, 2, 16, 32))
    assert ran == [1, 3, 1, 3]  # two frames ahead


def test_at_least_one_block_runs():
    model = dmvfn(routes=None, beta=0.1)
    assert model._routes(*uniform(5, 2, 2, 16, 32).unbind(1)).sum(1).min() >= 1


def test_warp_reads_where_the_displacement_points():
    frame = uniform(1, 1, 5, 7)
    displacement = torch.zeros(1, 2, 5, 7)
    displacement[:, 0], displacement[:, 1] = 2, 1
    assert_close(warp(frame, displacement)[..., :4, :5], frame[..., 1:, 2:], atol=1e-6)
    assert_close(warp(frame, displacement)[..., 4, 5:], frame[..., 4, 6:].expand(1, 1, 2), atol=1e-6)


@pytest.mark.parametrize(
    "sizes, message",
    [
        (dict(in_shape=(1, 1, 16, 16)), "in_shape has 1: set pre_seq_length to 2 or more"),
        (dict(in_shape=(4, 1, 20, 64)), r"grid by 16 = 4 \* 4.*20 x 64 cannot be.*frames of 16 x 64"),
        (dict(in_shape=(4, 1, 6, 8), scale=(1,) * 9), "frames of 8 x 8"),
        (dict(in_shape=(4, 1, 16, 16), scale=(4, 2)), "got 9 and 2"),
        (dict(in_shape=(4, 1, 16, 16), scale=(0,) * 9), "scale must be 1 or more"),
        (dict(in_shape=(4, 1, 16, 16), beta=1.5), "above 0 and up to 1; got 1.5"),
    ],
)
def test_dmvfn_says_what_does_not_fit(sizes, message):
    with pytest.raises(ValueError, match=message):
        DMVFN_Model(**sizes)


# DMVFN's perceptual loss


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Torch's cache of files, empty."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints" / "vgg19-dcbb9e9d.pth"


def test_without_vggs_weights_one_message_says_which_file_to_put_where(hub):
    with pytest.raises(FileNotFoundError, match=f"put {losses.VGG_URL} at {re.escape(str(hub))}.*perceptual_weight=0"):
        losses.perceptual_loss(*uniform(2, 1, 3, 16, 16))


@pytest.mark.parametrize("content", [b"<html>", None])
def test_another_file_is_no_vgg(hub, content):
    torch.save({"features.0.weight": torch.zeros(2)}, hub)
    if content:
        hub.write_bytes(content)
    with pytest.raises(ValueError, match="is not torchvision's VGG-19"):
        losses.perceptual_loss(*uniform(2, 1, 3, 16, 16))


def test_perceptual_loss_is_that_of_torchvisions_network(hub):
    features = pytest.importorskip("torchvision.models").vgg19(weights=None).features[:30].eval()
    torch.save({f"features.{key}": value for key, value in features.state_dict().items()}, hub)
    frames, truth = uniform(2, 1, 3, 16, 16).requires_grad_()
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    expected = 0
    for last, weight in ((2, 1 / 2.6), (7, 1 / 4.8), (12, 1 / 3.7), (21, 1 / 5.6), (30, 10 / 1.5)):
        a, b = (features[:last]((v - mean) / std) for v in (frames, truth))
        expected = expected + 0.1 * weight * (a - b).abs().mean()
    assert_close(losses.perceptual_loss(frames, truth), expected)
    grey = frames.mean(1, keepdim=True)
    assert_close(
        losses.perceptual_loss(grey, truth.mean(1, keepdim=True)),
        losses.perceptual_loss(grey.repeat(1, 3, 1, 1), truth.mean(1, keepdim=True).repeat(1, 3, 1, 1)),
    )
    assert losses.perceptual_loss(frames, frames) == 0
    assert_close(losses.perceptual_loss(frames.double(), truth.double()), expected)
