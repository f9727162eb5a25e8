"""Inside the real OpenSTL: its translators and methods on today's packages, and the two hosts against each other."""

import csv
import os
import shutil
import subprocess
import sys
from argparse import Namespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import xarray as xr
from comparison import assert_close
from filling import fill, normal
from test_builtin_models import MODELS, TRANSLATORS, assert_parity
from test_train_cli import ROOT, data_root, run, scores, weights, words  # noqa: F401  (fixtures)

pytestmark = pytest.mark.openstl


@pytest.fixture(scope="module")
def openstl():
    """OpenSTL's names as the host hands them out."""
    from openstl_svq.host import openstl as host

    return host.load()


@pytest.fixture(autouse=True)
def in_openstl():
    from openstl_svq.host import describe

    if describe().name != "openstl":
        pytest.skip("OPENSTL_SVQ_HOST keeps the built-in host")


def config_of(translator, **more):
    """A method's configuration; two blocks at the least size that every translator takes."""
    return {
        "in_shape": [2, 1, 8, 16],
        "pre_seq_length": 2,
        "aft_seq_length": 2,
        "hid_S": 8,
        "hid_T": 24,
        "N_S": 2,
        "N_T": 2,
        "model_type": translator,
        "drop_path": 0.2,
        "dataname": "taxibj",
        "metrics": ["mse", "mae"],
        "alpha": 0.1,
        "opt": "adam",
        "lr": 5e-3,
        "momentum": 0.9,
        "weight_decay": 0.0,
        "filter_bias_and_bn": False,
        "sched": "onecycle",
        "epoch": 2,
        "gpus": [0],
        "final_div_factor": 1e4,
        "steps_per_epoch": 5,
        **more,
    }


def test_no_fix_is_left_to_apply(openstl):
    from openstl_svq.host import fixes

    assert [fix.name for fix in fixes.FIXES if fix.needed()] == []
    assert fixes.apply() == []


# ---- translators -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [*TRANSLATORS, "gsta_NS4"])
def test_openstl_gives_the_measured_outputs(openstl, key):
    model = fill(openstl.SimVP_Model(**MODELS[key]["arguments"])).eval()
    assert list(model.state_dict()) == list(MODELS[key]["state_dict"])
    with torch.no_grad():
        assert_parity(model(normal(2, 4, 2, 16, 32)), f"full/{key}")


@pytest.mark.parametrize("translator", TRANSLATORS)
def test_gradients_reach_every_weight(openstl, translator):
    model = fill(
        openstl.SimVP_Model(
            **{k: config_of(translator)[k] for k in ("in_shape", "hid_S", "hid_T", "N_S", "N_T", "model_type")}
        )
    )
    model(normal(2, 2, 1, 8, 16)).square().mean().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert without == []


# ---- one host against the other --------------------------------------------------------------------------------------


# Latents of 8 x 16, where a window of swin fits and is shifted; of 4 x 8 and 8 x 4, where it fills one axis.
@pytest.mark.parametrize("frame", [(16, 32), (8, 16), (16, 8)])
@pytest.mark.parametrize("translator", TRANSLATORS)
def test_same_weights_give_the_same_outputs(openstl, translator, frame):
    from openstl_svq.host.builtin.models import SimVP_Model

    real, own = (
        cls(in_shape=(2, 1, *frame), hid_S=8, hid_T=24, N_S=2, N_T=3, model_type=translator)
        for cls in (openstl.SimVP_Model, SimVP_Model)
    )
    own.load_state_dict(fill(real).state_dict())
    x = normal(2, 2, 1, *frame)
    with torch.no_grad():
        assert_close(own.eval()(x), real.eval()(x), rtol=1e-5, what=translator)


def losses(method_class, get_optim_scheduler, config, start, steps=10):
    """Training losses of the first steps, from the weights ``start``, on the same batches and random draws."""
    method = method_class(test_mean=0.0, test_std=1.0, save_dir="", **config)
    method.model.load_state_dict(start)
    optimizer, scheduler, by_epoch = get_optim_scheduler(
        Namespace(**config), config["epoch"], method.model, config["steps_per_epoch"]
    )
    assert not by_epoch
    method.log = lambda *args, **kwargs: None
    series = []
    for step in range(steps):
        torch.manual_seed(step)
        batch = torch.randn(4, config["pre_seq_length"], 1, 8, 16), torch.randn(4, config["aft_seq_length"], 1, 8, 16)
        loss = method.train().training_step(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        series.append(loss.item())
    return np.array(series)


@pytest.mark.parametrize("translator", TRANSLATORS)
def test_first_ten_training_losses_are_the_same(openstl, translator):
    """With stochastic depth, and for TAU its own loss; 2 frames in, 3 out where the loss needs differences."""
    from openstl_svq.host.builtin import methods as own
    from openstl_svq.host.builtin.core import get_optim_scheduler

    real_class, own_class, more = openstl.SimVP, own.SimVP, {}
    if translator == "tau":
        real_class, own_class, more = openstl.TAU, own.TAU, {"aft_seq_length": 3}
    config = config_of(translator, **more)
    start = own_class(test_mean=0.0, test_std=1.0, save_dir="", **config).model.state_dict()
    start = {name: value.clone() for name, value in start.items()}
    real = losses(real_class, openstl.get_optim_scheduler, config, start)
    assert_close(losses(own_class, get_optim_scheduler, config, start), real, rtol=1e-4, what=translator)
    assert real[-1] < real[0]


@pytest.mark.parametrize("translator", TRANSLATORS)
@pytest.mark.parametrize("method", ["simvp_svq", "tau_svq"])
def test_quantizer_in_every_translator_trains_a_step(method, translator):
    from openstl_svq.host import method_maps
    from openstl_svq.methods import get_method

    config = config_of(
        translator, aft_seq_length=3, quantizer_kwargs={"codebook_size": 20}, loss="mae", usage_interval=0
    )
    built = get_method(method).cls(test_mean=0.0, test_std=1.0, save_dir="", **config)
    assert built.__class__ is method_maps[method]
    built.log = lambda *args, **kwargs: None
    batch = normal(2, 2, 1, 8, 16), normal(2, 3, 1, 8, 16)
    loss = built.training_step(batch, 0)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(p.grad is not None for p in built.model.quantizer.parameters())


def start_tool(tool, host, arguments):
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / f"{tool}.py"), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "OPENSTL_SVQ_HOST": host, "PYTHONPATH": str(ROOT)},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_a_run_goes_on_in_either_host(words, tmp_path):  # noqa: F811
    """Started in one host, it ends in both with the same losses and scores: weights, optimizer, data, draws agree."""
    first = tmp_path / "runs" / "first"
    assert "host: builtin" in start_tool("train", "builtin", words("sched='step'", name="first", epochs=1))
    for host in ("openstl", "builtin"):
        folder = shutil.copytree(first, tmp_path / "runs" / host)
        assert f"host: {host}" in start_tool("train", host, ["--resume", str(folder), "--epoch", "3"])
    results, losses = ([read(tmp_path / "runs" / host) for host in ("openstl", "builtin")] for read in (scores, logged))
    for name in losses[0]:
        assert_close(losses[1][name], losses[0][name], rtol=1e-4, what=name)
    assert results[0]["scores"].keys() == results[1]["scores"].keys() >= {"model", "persistence"}
    for forecast, expected in results[0]["scores"].items():
        for name, value in expected.items():
            assert_close(np.array(results[1]["scores"][forecast][name]), np.array(value), rtol=1e-4, what=name)


def logged(folder):
    """The losses of a run that was resumed, by name."""
    with open(sorted(folder.glob("csv/version_*/metrics.csv"))[-1], newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name]) for row in rows if row[name]]) for name in ("train_loss_step", "val_loss")}


# ---- data ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def taxibj(tmp_path_factory):
    """A file in TaxiBJ's format: 12 windows to train, 6 to test, in [-1, 1]."""
    root = tmp_path_factory.mktemp("taxibj")
    (root / "taxibj").mkdir()
    rng = np.random.default_rng(0)
    arrays = {
        f"{name}_{split}": rng.uniform(-1, 1, (count, 4, 2, 32, 32)).astype(np.float32)
        for split, count in (("train", 12), ("test", 6))
        for name in "XY"
    }
    np.savez(root / "taxibj" / "dataset.npz", **arrays)
    return root


def taxibj_words(taxibj, tmp_path, protocol, method="simvp_svq", extra=()):
    return [
        "-d",
        "taxibj",
        "-m",
        method,
        "--data_root",
        str(taxibj),
        "--res_dir",
        str(tmp_path / "runs"),
        "--ex_name",
        protocol,
        "--protocol",
        protocol,
        "--epoch",
        "1",
        "--batch_size",
        "4",
        "--num_workers",
        "0",
        "--accelerator",
        "cpu",
        "--cfg_options",
        "hid_S=4",
        "hid_T=8",
        "N_S=2",
        "N_T=2",
        *extra,
    ]


def test_openstl_protocol_runs_openstls_loaders_and_scores(openstl, taxibj, run, tmp_path, monkeypatch):  # noqa: F811
    """The scores, summed over the stream, are those that OpenSTL computes of everything at once."""
    import openstl as package

    from openstl_svq.training.experiment import Experiment

    seen = []
    monkeypatch.setattr(Experiment, "test", lambda self, original=Experiment.test: seen.append(self) or original(self))
    folder = run("train", taxibj_words(taxibj, tmp_path, "openstl")) / "openstl"
    experiment = seen[0]
    assert type(experiment.data.train_loader.dataset) is package.datasets.TaxibjDataset
    assert experiment.data.valid_loader.dataset.X is not experiment.data.train_loader.dataset.X
    method = experiment.method.eval()
    batches = [(method(x), y) for x, y in experiment.data.test_loader]
    pred, true = (torch.cat(tensors).detach().numpy() for tensors in zip(*batches))
    expected, _ = openstl.metric(pred, true, 0, 1, metrics=["mse", "mae", "ssim", "psnr"])
    model = scores(folder)["scores"]["model"]
    for name, value in expected.items():
        assert_close(np.array(model[name], dtype=np.float32), np.array(value, dtype=np.float32), rtol=2e-5, what=name)


def test_strict_protocol_holds_out_validation(taxibj, run, tmp_path):  # noqa: F811
    folder = run("train", taxibj_words(taxibj, tmp_path, "strict")) / "strict"
    assert "model" in scores(folder)["scores"]


def test_strict_protocol_of_a_dataset_that_only_openstl_has(openstl, taxibj, monkeypatch):
    from openstl_svq import data
    from openstl_svq.host import openstl_data

    monkeypatch.delitem(data.registry.DATASETS._entries, "taxibj")
    train, validation, test = openstl_data.load_data(
        "taxibj",
        4,
        4,
        0,
        str(taxibj),
        protocol="strict",
        val_fraction=0.25,
        use_augment=True,
        **openstl.dataset_parameters["taxibj"],
    )
    assert [len(loader.dataset) for loader in (train, validation, test)] == [9, 3, 6]
    assert train.dataset.dataset.use_augment and not validation.dataset.dataset.use_augment
    whole = np.load(taxibj / "taxibj" / "dataset.npz")
    assert_close(validation.dataset[0][0], (whole["X_train"][9] + 1) / 2)
    assert_close(test.dataset[0][0], (whole["X_test"][0] + 1) / 2)


def test_own_data_that_openstl_has_no_loader_for(openstl, tmp_path):
    from openstl_svq.host.openstl_data import load_data

    np.save(tmp_path / "frames.npy", np.random.default_rng(0).random((40, 1, 8, 8), dtype=np.float32))
    entry = {**openstl.dataset_parameters["custom"], "in_shape": [2, 1, 8, 8], "pre_seq_length": 2, "aft_seq_length": 2}
    for loader in load_data("custom", 2, 2, 0, str(tmp_path / "frames.npy"), protocol="strict", **entry):
        x, y = loader.dataset[0]
        assert x.shape == y.shape == (2, 1, 8, 8)
    with pytest.raises(ValueError, match="set protocol to strict"):
        load_data("custom", 2, 2, 0, str(tmp_path / "frames.npy"), protocol="openstl", **entry)


def test_data_that_openstl_refuses_without_a_word(openstl, tmp_path):
    from openstl_svq.host.openstl_data import load_data

    with pytest.raises(ValueError, match="OpenSTL cannot load weather_t2m_5_625 from .*--data_root"):
        load_data(
            "weather_t2m_5_625",
            4,
            4,
            0,
            str(tmp_path),
            protocol="openstl",
            **openstl.dataset_parameters["weather_t2m_5_625"],
        )


@pytest.fixture(scope="module")
def multivariate(tmp_path_factory):
    """All four variables of weather_mv on three levels, hourly, fifteen days a year."""
    root = tmp_path_factory.mktemp("mv")
    rng = np.random.default_rng(0)
    lat, lon = np.linspace(-87.1875, 87.1875, 32), np.arange(64) * 5.625
    for variable, folder in (
        ("r", "relative_humidity"),
        ("t", "temperature"),
        ("u", "u_component_of_wind"),
        ("v", "v_component_of_wind"),
    ):
        (root / "weather" / folder).mkdir(parents=True)
        for year in (2015, 2016, 2017):
            time = np.datetime64(f"{year}-01-01") + np.arange(360) * np.timedelta64(1, "h")
            values = rng.standard_normal((360, 3, 32, 64)).astype("f4")
            xr.Dataset(
                {variable: (("time", "level", "lat", "lon"), values)},
                {"time": time, "level": [150, 500, 850], "lat": lat, "lon": lon},
            ).to_netcdf(root / "weather" / folder / f"{folder}_{year}_5.625deg.nc")
    return root


def test_packed_sample_runs_in_openstls_loader(openstl):
    """Its integers become floats of single precision, with OpenSTL's windows."""
    import openstl as package

    from openstl_svq.data import get_dataset
    from openstl_svq.data.sample import sample_root
    from openstl_svq.host.openstl_data import load_data

    entry = {
        **get_dataset("weather_sample").entry,
        "train_time": ["2001-01", "2001-01"],
        "val_time": ["2002-01", "2002-01"],
        "test_time": ["2002-04", "2002-04"],
    }
    for loader in load_data("weather_t2m_5_625", 4, 4, 0, sample_root("absent"), protocol="openstl", **entry):
        assert type(loader.dataset) is package.datasets.WeatherBenchDataset
        x, y = loader.dataset[0]
        assert x.dtype == y.dtype == torch.float32
        assert x.shape == y.shape == (12, 1, 32, 64)


@pytest.mark.parametrize("protocol", ["openstl", "strict"])
def test_weather_of_many_variables_is_scored_by_name(multivariate, run, tmp_path, protocol):  # noqa: F811
    times = ["train_time=['2015','2015']", "val_time=['2016','2016']", "test_time=['2017','2017']"]
    arguments = taxibj_words(multivariate, tmp_path, protocol, method="simvp", extra=times)
    arguments[1] = "weather_mv_4_4_s6_5_625"
    model = scores(run("train", arguments) / protocol)["scores"]["model"]
    assert {f"mse_{name}" for name in "rtuv"} <= set(model)


# ---- OpenSTL's own checkpoints ---------------------------------------------------------------------------------------


def test_checkpoint_that_openstl_wrote_converts_and_runs(openstl, tmp_path):
    import openstl_svq
    from openstl_svq import convert

    config = config_of(
        "gsta", method="simvp", test_mean=np.zeros((1, 1, 1, 1)), test_std=np.ones((1, 1, 1, 1)), save_dir=""
    )
    method = openstl.SimVP(**config)
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        max_epochs=1,
        default_root_dir=tmp_path,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(method, torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*[torch.randn(8, 2, 1, 8, 16)] * 2)))
    trainer.save_checkpoint(tmp_path / "best.ckpt")
    with pytest.raises(ValueError, match="--trust"):
        convert.convert_checkpoint(tmp_path / "best.ckpt", tmp_path / "own.ckpt")
    convert.convert_checkpoint(tmp_path / "best.ckpt", tmp_path / "own.ckpt", trust=True)
    loaded = openstl_svq.load(tmp_path / "own.ckpt")
    x = normal(2, 2, 1, 8, 16)
    with torch.no_grad():
        assert_close(loaded(x), method.eval()(x))
