"""Methods through the command lines, in whichever host runs."""

import numpy as np
import pytest
import torch
from comparison import assert_close
from test_train_cli import data_root, fails, run, scores, weights, words  # noqa: F401  (fixtures)

import openstl_svq

# Small settings for each method's own keys; those of the recurrent ones are named as in OpenSTL's configuration files.
RECURRENT = (
    "num_hidden='8,8'",
    "filter_size=3",
    "stride=1",
    "patch_size=4",
    "layer_norm=0",
    "reverse_scheduled_sampling=0",
    "scheduled_sampling=1",
    "sampling_stop_iter=100",
    "sampling_start_value=1.0",
    "sampling_changing_rate=0.1",
    "r_sampling_step_1=10",
    "r_sampling_step_2=20",
    "r_exp_alpha=5",
)
METHODS = {
    "convlstm": RECURRENT,
    "e3dlstm": RECURRENT,
    "mim": RECURRENT,
    "predrnn": RECURRENT,
    "predrnnpp": RECURRENT,
    "predrnnv2": (*(o for o in RECURRENT if "reverse" not in o), "reverse_scheduled_sampling=1", "decouple_beta=0.1"),
    "mau": (
        *(o for o in RECURRENT if not o.startswith(("patch", "reverse", "r_"))),
        "patch_size=1",
        "sr_size=8",
        "tau=2",
        "cell_mode=normal",
        "model_mode=normal",
    ),
    "phydnet": ("patch_size=4",),
    "prednet": ("stack_sizes=[1,4,8]", "pixel_max=None"),
    "dmvfn": ("num_features=[8,8]", "scale=[2,1]", "perceptual_weight=0", "pixel_max=None"),
    "simvp": ("hid_S=4", "hid_T=8", "N_S=2", "N_T=2"),
    "tau": ("hid_S=4", "hid_T=8", "N_S=2", "N_T=2", "alpha=0.1"),
}


def of_method(words, method, *extra, epochs=1, name="run"):  # noqa: F811
    """A command line for ``method``: 20 windows of 3 -> 2 in each split, the last batch of the test incomplete."""
    words = words(method=method, epochs=epochs, name=name)
    days = [
        f"{split}_time=['{year}-01-01','{year}-01-01']"
        for split, year in (("train", 2010), ("val", 2011), ("test", 2012))
    ]
    return [
        *words[: words.index("--cfg_options")],
        "--pre_seq_length",
        "3",
        "--aft_seq_length",
        "2",
        "--batch_size",
        "8",
        "--val_batch_size",
        "8",
        *extra,
        "--cfg_options",
        *METHODS[method],
        *days,
    ]


@pytest.mark.parametrize("method", METHODS)
def test_method_trains_is_tested_and_forecasts(words, run, capsys, method):  # noqa: F811
    folder = run("train", of_method(words, method)) / "run"
    assert f"method: {method}, " in capsys.readouterr().out
    result = scores(folder)["scores"]
    assert np.isfinite(result["model"]["mse"]) and result["model"]["mse"] != result["persistence"]["mse"]
    run("test", [str(folder), "--val_batch_size", "5"])
    for name, value in scores(folder / "test")["scores"]["model"].items():  # a forecast does not depend on its batch
        assert_close(np.array(value), np.array(result["model"][name]), rtol=1e-5, what=name)

    trained = openstl_svq.load(folder)
    frames = 280 + 5 * np.random.default_rng(0).standard_normal((3, 1, 32, 64))
    forecast = trained.predict(frames, steps=5)  # two frames at a time
    assert forecast.shape == (5, 1, 32, 64) and np.isfinite(forecast).all()
    assert_close(trained.predict(frames), forecast[:2])


@pytest.mark.parametrize("method", METHODS)
def test_a_method_knows_its_own_keys_alone(method):
    from openstl_svq.config import defaults
    from openstl_svq.methods import get_method

    keys = get_method(method).keys
    assert {option.partition("=")[0] for option in METHODS[method]} <= keys | set(defaults())
    of_others = {"decouple_beta": {"predrnnv2"}, "sr_size": {"mau"}, "alpha": {"tau"}, "hid_S": {"simvp", "tau"}}
    assert all((key in keys) == (method in owners) for key, owners in of_others.items())


def test_unknown_key_of_a_method_is_refused(words):  # noqa: F811
    from openstl_svq.config import resolve

    with pytest.raises(ValueError, match="unknown configuration key 'hidden_num'.*'num_hidden'"):
        resolve([*of_method(words, "convlstm"), "hidden_num='8,8'"])


@pytest.mark.parametrize("method", ["mau", "predrnnv2"])
def test_sampling_goes_on_after_a_resume(words, run, method):  # noqa: F811
    """A run cut after its first epoch ends with the weights of one that was not."""
    runs = run("train", of_method(words, method, "--sched", "step", epochs=2, name="whole"))
    run("train", of_method(words, method, "--sched", "step", name="cut"))
    run("train", ["--resume", str(runs / "cut"), "--epoch", "2"])
    whole, resumed = (weights(runs / name / "checkpoints" / "last.ckpt") for name in ("whole", "cut"))
    for name, value in whole.items():
        assert torch.equal(resumed[name], value), name


def test_a_loss_that_has_no_effect_is_refused(words, run):  # noqa: F811
    message = fails(run, of_method(words, "phydnet", "--loss", "mae"))
    assert "phydnet computes its training loss itself" in message and "leave --loss out" in message
