"""Streaming scores: OpenSTL's numbers, any split into batches and processes, weather scores, bad input."""

import copy
import datetime
import json
import pickle
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from comparison import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from openstl_svq.host.builtin.core import metric
from openstl_svq.metrics import FieldMetric, ForecastMetrics, list_metrics, register_metric, report
from openstl_svq.metrics import lpips as lpips_metric
from openstl_svq.metrics.base import METRICS, Unavailable

PARITY = Path(__file__).parent / "parity"
CASES = json.loads((PARITY / "metrics.json").read_text())["cases"]
OPENSTL = ["mse", "mae", "rmse", "ssim", "psnr", "snr"]
LAT = np.linspace(-70, 70, 8)


def samples(count=6, shape=(3, 4, 8, 10), seed=0):
    rng = np.random.default_rng(seed)
    true = rng.random((count, *shape))
    return (torch.from_numpy(x).float() for x in (true + 0.3 * rng.standard_normal(true.shape), true))


pytestmark = pytest.mark.usefixtures("registries")


def all_but_lpips(**changes):
    names = [name for name in list_metrics() if name not in ("lpips", "here")]
    return ForecastMetrics(
        **{
            "metrics": names,
            "mean": 1.0,
            "std": 3.0,
            "channel_names": ["u", "v"],
            "lat": LAT,
            "lead_times": True,
            "spatial_norm": True,
        }
        | changes
    )


def score(metrics, pred, true, climatology=None):
    metrics.update(pred, true, climatology)
    return metrics.compute()


def assert_same_scores(actual, expected, **tolerances):
    assert list(actual) == list(expected)
    for name in expected:
        assert_close(np.array(actual[name]), np.array(expected[name]), what=name, **tolerances)


# OpenSTL's numbers


@pytest.mark.parametrize(
    "case",
    CASES,
    ids=lambda c: "-".join(str(c[key]) for key in ("input", "spatial_norm", "denormalise", "channel_names")),
)
def test_equal_to_openstl(case):
    arrays = np.load(PARITY / "metrics.npz")
    pred, true = arrays[f"{case['input']}/pred"], arrays[f"{case['input']}/true"]
    scale = [arrays[f"{case['input']}/{k}"] for k in ("mean", "std")] if case["denormalise"] else []
    results, log = metric(
        pred, true, *scale, metrics=OPENSTL, channel_names=case["channel_names"], spatial_norm=case["spatial_norm"]
    )
    assert_same_scores(results, case["result"], rtol=1e-5)
    assert all(type(value) is float for value in results.values())
    names, expected = ([entry.split(":")[0] for entry in text.split(", ")] for text in (log, case["log"]))
    assert names == expected


def test_metric_needs_both_mean_and_std_and_can_leave_out_the_log():
    pred, true = (x.numpy() for x in samples())
    assert metric(pred, true, mean=5.0, std=None) == metric(pred, true)
    assert metric(pred, true, return_log=False)[1] == ""
    assert list(metric(pred, true)[0]) == ["mse", "mae"]


def test_clip_range_bounds_the_prediction_of_frame_scores_alone():
    pred, true = samples()
    wide, narrow = (ForecastMetrics(["mse", "psnr"], clip_range=r) for r in ((-9, 9), (0.4, 0.6)))
    wide, narrow = score(wide, pred, true), score(narrow, pred, true)
    assert wide["mse"] == narrow["mse"]
    assert narrow["psnr"] == pytest.approx(score(ForecastMetrics(["psnr"]), pred.clamp(0.4, 0.6), true)["psnr"])
    assert wide["psnr"] != narrow["psnr"]


# batches, processes, devices


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=5))
def test_any_split_into_batches(sizes):
    pred, true = samples(sum(sizes))
    normal = torch.from_numpy(np.random.default_rng(3).random(pred.shape))
    whole = score(all_but_lpips(), pred, true, normal)
    metrics = all_but_lpips()
    for p, t, n in zip(pred.split(sizes), true.split(sizes), normal.split(sizes)):
        metrics.update(p, t, n)
    assert_same_scores(metrics.compute(), whole, rtol=1e-12)


def test_a_batch_of_frames_too_large_for_one_block():
    true = torch.rand(3, 1, 2, 640, 640, generator=torch.Generator().manual_seed(0))
    pred = true.flip(0)
    assert score(ForecastMetrics(["mse"]), pred, true)["mse"] == pytest.approx(
        (pred.double() - true.double()).square().sum().item() / 3
    )


def test_memory_does_not_grow():
    metrics = all_but_lpips()
    sizes = []
    for _ in range(5):
        metrics.update(*samples(), torch.zeros(1))
        sizes.append({name: state.numel() for name, state in metrics.metric_state.items()})
    assert sizes[0] == sizes[-1]
    assert sum(sizes[0].values()) < 100  # a sample has 960 values


def _register_what_the_first_process_has_alone():
    @register_metric("here", "one on the first process, unavailable on others")
    class Here(FieldMetric):
        def statistic(self, block):
            if dist.get_rank():
                raise Unavailable("no weights")
            return block.error.mean((-2, -1))

        def score(self, mean):
            return mean.mean((-2, -1))


def _in_a_process(rank, store, counts, results):
    """One of two processes: scores its share of the samples, and puts the outcome into ``results``."""
    dist.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=2, timeout=datetime.timedelta(seconds=180)
    )
    try:
        outcome = []
        for share in counts:
            metrics = all_but_lpips()
            pred, true = samples(sum(share))
            own = slice(0, share[0]) if rank == 0 else slice(share[0], None)
            for p, t in zip(pred[own].split(2), true[own].split(2)):
                metrics.update(p, t, torch.full((1,), 0.4))
            outcome.append(metrics.compute())
        _register_what_the_first_process_has_alone()
        metrics = ForecastMetrics(["mse", "here"])
        metrics.update(*samples(2))
        outcome.append(metrics.compute())
        if rank:
            results.put(outcome)
        return outcome
    finally:
        dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
def test_exact_across_processes(tmp_path):
    """Uneven shares, a process that has no sample at all, and one that cannot compute a metric."""
    counts = [(5, 2), (1, 6), (7, 0), (0, 3)]
    context = torch.multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    other = context.Process(target=_in_a_process, args=(1, tmp_path / "store", counts, results))
    other.start()
    first = _in_a_process(0, tmp_path / "store", counts, results)
    other.join(180)
    assert other.exitcode == 0
    second = results.get()
    assert list(first.pop()) == list(second.pop()) == ["mse"]
    for share, here, there in zip(counts, first, second):
        whole = score(all_but_lpips(), *samples(sum(share)), torch.full((1,), 0.4))
        assert_same_scores(here, whole, rtol=1e-12)
        assert_same_scores(there, whole, rtol=1e-12)


def test_precision_of_the_module_around_it_does_not_matter():
    pred, true = samples()
    expected = score(all_but_lpips(), pred, true, torch.zeros(1))
    for change in (nn.Module.half, nn.Module.bfloat16, lambda m: m.to(torch.bfloat16)):
        holder = nn.Module()
        holder.metrics = all_but_lpips()
        holder.metrics.update(pred[:2], true[:2], torch.zeros(1))
        change(holder)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            holder.metrics.update(pred[2:], true[2:], torch.zeros(1))
        assert_same_scores(holder.metrics.compute(), expected, rtol=1e-12)
        assert not holder.state_dict()


def test_stays_on_the_cpu_where_the_device_has_no_float64(monkeypatch):
    class OnMetal:
        device = torch.device("mps")

    metrics = all_but_lpips()
    metrics._apply(lambda tensor: OnMetal)
    assert metrics.device == metrics.mse_sum.device == torch.device("cpu")


@pytest.mark.gpu
def test_gpu():
    pred, true = samples()
    expected = score(all_but_lpips(), pred, true, torch.zeros(1))
    assert_same_scores(score(all_but_lpips().cuda(), pred.cuda(), true.cuda(), torch.zeros(1)), expected, rtol=1e-6)


def test_reset_call_and_pickle():
    pred, true = samples()
    metrics = all_but_lpips()
    expected = score(all_but_lpips(), pred, true, torch.zeros(1))
    for _ in range(2):
        first = metrics(pred[:3], true[:3], torch.zeros(1))  # the value of this batch alone
        metrics(pred[3:], true[3:], torch.zeros(1))
        assert_same_scores(first, score(all_but_lpips(), pred[:3], true[:3], torch.zeros(1)), rtol=1e-12)
        assert_same_scores(pickle.loads(pickle.dumps(metrics)).compute(), expected, rtol=1e-12)
        metrics.reset()
    other = [*samples(2, (1, 2, 8, 9)), torch.ones(1)]  # a reset also forgets the shape
    assert_same_scores(score(metrics, *other), score(all_but_lpips(), *other))


# lead times, weather


def test_lead_times_are_the_scores_of_single_frames():
    pred, true = samples()
    results = score(all_but_lpips(), pred, true, torch.zeros(1))
    for t in range(pred.shape[1]):
        alone = score(all_but_lpips(lead_times=False), pred[:, t : t + 1], true[:, t : t + 1], torch.zeros(1))
        assert_same_scores({name: results[f"{name}_by_lead"][t] for name in alone}, alone)
    assert results["mse"] == pytest.approx(np.mean(results["mse_by_lead"]))
    assert not any(name.endswith("_by_lead") for name in alone)


def test_weather_scores_against_plain_numpy():
    pred, true = samples(shape=(2, 2, 8, 10))
    normal = np.random.default_rng(5).random((6, 2, 2, 8, 10))
    std = np.array([2.0, 5.0]).reshape(1, 2, 1, 1)
    results = score(all_but_lpips(std=std, mean=0.0, channel_names=["u", "v"]), pred, true, torch.from_numpy(normal))

    weight = np.cos(np.radians(LAT)) / np.cos(np.radians(LAT)).mean()
    p, t = pred.double().numpy(), true.double().numpy()
    squared = weight[:, None] * ((p - t) * std) ** 2  # (B, T, C, H, W)
    assert results["wrmse_v"] == pytest.approx(np.sqrt(squared[:, :, 1].mean()))
    assert results["wrmse_by_lead"] == pytest.approx(np.sqrt(squared.mean((0, 3, 4))).mean(-1))
    p, t = p - normal, t - normal
    correlation = [
        np.average(a * b, weights=np.broadcast_to(weight[:, None], a.shape))
        / np.sqrt(
            np.average(a * a, weights=np.broadcast_to(weight[:, None], a.shape))
            * np.average(b * b, weights=np.broadcast_to(weight[:, None], a.shape))
        )
        for a, b in zip(p.reshape(-1, 8, 10), t.reshape(-1, 8, 10))
    ]
    by_channel = np.array(correlation).reshape(6, 2, 2).mean((0, 1))
    assert [results["acc_u"], results["acc_v"]] == pytest.approx(by_channel)


def test_weather_scores_where_they_are_known():
    pred, true = samples()
    uniform = score(all_but_lpips(lat=np.full(8, 50.0)), pred, true, torch.zeros(1))
    assert uniform["wrmse"] == pytest.approx(uniform["rmse"])
    normal = torch.full_like(true, 0.5)
    assert score(all_but_lpips(), true, true, normal)["acc"] == pytest.approx(1)
    assert score(all_but_lpips(), 1 - true, true, normal)["acc"] == pytest.approx(-1)
    assert score(all_but_lpips(), normal, true, normal)["acc"] == 0


def test_exact_frames_have_infinite_psnr_and_snr():
    true = torch.zeros(2, 1, 1, 8, 8)
    results = score(ForecastMetrics(["psnr", "snr", "ssim"]), true.clone(), true)
    assert results == {"ssim": 1.0, "psnr": float("inf"), "snr": float("inf")}


# LPIPS


def a_network(monkeypatch):
    """LPIPS with random weights: the weights are the only part that has to be downloaded."""
    lpips = pytest.importorskip("lpips")
    torch.manual_seed(0)
    network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).requires_grad_(False)
    ours = copy.deepcopy(network)
    ours.net = lpips_metric.EachOnce(ours.net)
    monkeypatch.setattr(lpips_metric, "alexnet", lambda device: ours)
    return network, ours


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
@pytest.mark.parametrize("channels", [1, 3])
def test_lpips_is_the_mean_over_frames(monkeypatch, channels):
    network, _ = a_network(monkeypatch)
    pred, true = samples(17, (2, channels, 32, 40))
    pred[:5] = pred[:5, :1]  # persistence's frames are all the same
    with torch.autocast("cpu", torch.bfloat16):
        result = score(ForecastMetrics(["lpips"], lead_times=True), pred, true)
    expected = [
        [network(2 * p[None].clamp(0, 1) - 1, 2 * t[None] - 1).item() for p, t in zip(*pair)]
        for pair in zip(pred, true)
    ]
    assert result["lpips"] == pytest.approx(np.mean(expected), rel=1e-5)
    assert result["lpips_by_lead"] == pytest.approx(np.mean(expected, axis=0), rel=1e-5)


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
@pytest.mark.parametrize("kept, looked_at", [(2**27, 40 + 2 * 40), (1, 3 * 40 + 2 * 40)])
def test_lpips_looks_at_true_frames_once_for_all_forecasts(monkeypatch, kept, looked_at):
    """Three forecasts, the last of which is the truth itself."""
    network, ours = a_network(monkeypatch)
    monkeypatch.setattr(lpips_metric, "_KEPT", kept)
    seen = []
    ours.net.net.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    first, true = samples(40, (1, 1, 32, 32))
    forecasts = {"first": first, "second": 1 - first, "perfect": true}
    scores = {name: score(ForecastMetrics(["lpips"]), pred, true)["lpips"] for name, pred in forecasts.items()}
    assert sum(seen) == looked_at
    for name, pred in forecasts.items():
        assert scores[name] == pytest.approx(network(2 * pred[:, 0].clamp(0, 1) - 1, 2 * true[:, 0] - 1).mean().item())
    other = score(ForecastMetrics(["lpips"]), first, true.flip(0))["lpips"]
    assert other == pytest.approx(network(2 * first[:, 0].clamp(0, 1) - 1, 2 * true.flip(0)[:, 0] - 1).mean().item())


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
def test_without_lpips_weights_the_rest_is_computed(monkeypatch, tmp_path):
    pytest.importorskip("lpips")

    def offline(*args, **kwargs):
        tried.append(args)
        raise urllib.error.URLError("no route to host")

    tried = []
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    pred, true = samples(2, (2, 3, 32, 32))
    file = tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
    for _ in range(2):
        metrics = ForecastMetrics(["mse", "lpips", "ssim"])
        with pytest.warns(UserWarning, match=f"lpips is left out.*no route.*Put https.*alexnet.*at {file}") as caught:
            metrics.update(pred, true)
            metrics.update(pred, true)
        assert len(caught) == 1
        assert list(metrics.compute()) == ["mse", "ssim"]
    assert len(tried) == 1  # one attempt for all

    file.write_bytes(b"truncated")
    with pytest.warns(UserWarning, match="cannot be read"):
        score(ForecastMetrics(["mse", "lpips"]), pred, true)


def test_without_the_lpips_package_the_rest_is_computed(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "lpips", None)
    with pytest.warns(UserWarning, match=r"pip install 'openstl_svq\[images\]'"):
        assert list(score(ForecastMetrics(["lpips", "mae"]), *samples(2, (2, 3, 32, 32)))) == ["mae"]


@pytest.mark.network
def test_lpips_with_the_real_weights():
    """0 for equal frames; the reference value is the package's own, of its published weights."""
    _, true = samples(1, (2, 3, 64, 64))
    assert score(ForecastMetrics(["lpips"]), true.clone(), true)["lpips"] == 0
    assert score(ForecastMetrics(["lpips"]), 1 - true, true)["lpips"] > 0.1


# a metric of one's own


def test_a_metric_is_one_class(tmp_path):
    """By channel and by lead time, with a unit and a skill score, from sums of which the equation makes one value."""

    @register_metric("csi", "critical success index of values above 0.5")
    class CSI(FieldMetric):
        lower_is_better, unit, skill = False, "%", "csiss"

        def statistic(self, block):
            p, t = block.pred > 0.5, block.true > 0.5
            return torch.stack([(p & t).sum((-2, -1)), (p | t).sum((-2, -1))], -1)  # (B, T, C, 2)

        def score(self, mean):
            hits, either = mean.sum((1, 2)).unbind(-1)
            return 100 * hits / either

    assert list_metrics()["csi"] == "critical success index of values above 0.5"
    pred, true = samples()
    metrics = ForecastMetrics(["csi", "mse"], channel_names=["u", "v"], lead_times=True)
    for p, t in zip(pred.split(4), true.split(4)):
        metrics.update(p, t)
    scores = metrics.compute()
    assert list(scores)[:1] == ["mse_u"] and list(scores)[-2:] == ["csi", "csi_by_lead"]

    def expected(p, t):
        return 100 * ((p > 0.5) & (t > 0.5)).sum().item() / ((p > 0.5) | (t > 0.5)).sum().item()

    assert scores["csi_v"] == pytest.approx(expected(pred[:, :, 2:], true[:, :, 2:]))
    assert scores["csi_u_by_lead"][1] == pytest.approx(expected(pred[:, 1, :2], true[:, 1, :2]))
    assert scores["csi"] == pytest.approx((scores["csi_u"] + scores["csi_v"]) / 2)
    results = {"model": {"csi_u": 2.0}, "persistence": {"csi_u": 4.0}}
    assert [(row["metric"], row["value"], row["unit"]) for row in report.tidy_rows(results)] == [
        ("csi_u", 2.0, "%"), ("csiss_persistence_u", 0.5, ""), ("csi_u", 4.0, "%")
    ]  # fmt: skip


def test_every_metric_says_what_it_is():
    for name, description in list_metrics().items():
        metric = METRICS[name]
        assert description and metric.__doc__ and metric.needs <= {"lat", "climatology"}
        perfect = torch.rand(2, 1, 3, 32, 32)
        if name != "lpips":
            values = [
                score(ForecastMetrics([name], lat=np.zeros(32)), pred, perfect, torch.zeros(1))[name]
                for pred in (perfect, perfect.flip(-1))
            ]
            assert (values[0] < values[1]) == metric.lower_is_better


@pytest.mark.parametrize(
    "name, base, message",
    [
        (
            "mse",
            FieldMetric,
            r"'mse' is taken by openstl_svq\.metrics\.mse\.MSE \(.*mse\.py\); .*test_metrics_forecast\.py",
        ),
        ("my_mse", FieldMetric, "letters and digits"),
        ("own", object, "derive it from FieldMetric or ImageMetric"),
    ],
)
def test_metrics_that_cannot_be_registered(name, base, message):
    with pytest.raises(ValueError, match=message):
        register_metric(name, "of a user")(type("Own", (base,), {}))
    if name == "mse":
        own = register_metric(name, "of a user", override=True)(type("Own", (base,), {}))
        assert METRICS["mse"] is own and list_metrics()["mse"] == "of a user"


# bad input


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"metrics": ["rsme"]}, "Did you mean 'rmse'.*Available: acc"),
        ({"metrics": []}, "no metric asked for"),
        ({"metrics": ["wrmse", "acc"]}, "wrmse, acc are weighted by latitude: give lat"),
        ({"metrics": ["acc"], "lat": [91.0]}, "-90 to 90"),
        ({"metrics": ["mse"], "mean": [1.0, 2.0]}, r"mean of shape \(2,\) is ambiguous"),
        ({"metrics": ["mse"], "std": float("nan")}, "std must be finite"),
        ({"metrics": ["mse"], "channel_names": ["u", "u"]}, "differ from each other"),
        ({"metrics": ["ssim"], "clip_range": (1, 0)}, "low < high"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ForecastMetrics(**arguments)


@pytest.mark.parametrize(
    "arguments, shapes, message",
    [
        ({}, [(2, 3, 1, 8, 8), (2, 3, 1, 8, 9)], r"\(2, 3, 1, 8, 8\) and \(2, 3, 1, 8, 9\)"),
        ({}, [(2, 3, 8, 8), (2, 3, 8, 8)], r"both \(B, T, C, H, W\)"),
        ({"std": np.ones((1, 2, 1, 1))}, [(2, 3, 1, 8, 8)] * 2, r"std of shape \(1, 2, 1, 1\) does not fit"),
        ({"std": np.ones((1, 2, 1, 1))}, [(2, 3, 3, 8, 8)] * 2, r"std of shape \(1, 2, 1, 1\) does not fit"),
        ({"channel_names": ["u", "v"]}, [(2, 3, 3, 8, 8)] * 2, "do not divide 3 channels"),
        ({"metrics": ["wrmse"], "lat": LAT}, [(2, 3, 1, 9, 8)] * 2, "8 values, the frames have 9 rows"),
        ({"metrics": ["acc"], "lat": LAT}, [(2, 3, 1, 8, 8)] * 2, "give update the climatology"),
        ({"metrics": ["acc"], "lat": LAT}, [(2, 3, 1, 8, 8)] * 2 + [(2, 3, 1, 8, 7)], "climatology .* does not fit"),
        ({"metrics": ["ssim"]}, [(2, 3, 1, 6, 8)] * 2, "H, W >= 7"),
        ({"metrics": ["lpips"]}, [(2, 3, 2, 64, 64)] * 2, "1 or 3 channels"),
        ({"metrics": ["lpips"]}, [(2, 3, 3, 30, 64)] * 2, "at least 31"),
    ],
)
def test_bad_shapes(arguments, shapes, message):
    metrics = ForecastMetrics(**{"metrics": ["mse"]} | arguments)
    with pytest.raises(ValueError, match=message):
        metrics.update(*map(torch.zeros, shapes))


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
def test_smallest_frames_for_lpips(monkeypatch):
    a_network(monkeypatch)
    pred, true = samples(1, (1, 3, lpips_metric.SMALLEST, lpips_metric.SMALLEST))
    assert score(ForecastMetrics(["lpips"]), pred, true)["lpips"] > 0


def test_shape_must_not_change():
    metrics = ForecastMetrics(["mse"])
    metrics.update(torch.zeros(2, 3, 1, 8, 8), torch.zeros(2, 3, 1, 8, 8))
    with pytest.raises(ValueError, match=r"got \[4, 1, 8, 8\] after \[3, 1, 8, 8\]"):
        metrics.update(torch.zeros(2, 4, 1, 8, 8), torch.zeros(2, 4, 1, 8, 8))


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
def test_nothing_scored():
    with pytest.raises(ValueError, match="no sample was scored"):
        ForecastMetrics(["mse"]).compute()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite(value):
    pred, true = samples()
    pred[1, 2, 0, 3, 4] = value
    with pytest.raises(ValueError, match="1 of 5,760 predicted .* 0 of 5,760 true .* mse, psnr would not .*weights"):
        score(ForecastMetrics(["mse", "psnr"]), pred, true)
    with pytest.raises(ValueError, match="0 of 5,760 predicted values and 1 of 5,760 true.*Check the data"):
        score(ForecastMetrics(["mse", "psnr"]), true, pred)
