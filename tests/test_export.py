"""tools/export.py: programs of torch and ONNX, weights with a card."""

import json

import numpy as np
import pytest
import torch
from comparison import assert_close
from running import message_of, run_tool
from test_builtin_models import TRANSLATORS, fill
from test_predict import untrained

import openstl_svq
from openstl_svq.predict.export import Program, export, export_onnx, export_torch, export_weights
from openstl_svq.training import checkpoint

MEAN, STD = [[[[280.0]], [[50.0]]]], [[[[15.0]], [[20.0]]]]  # (1, C, 1, 1): kelvin, per cent


@pytest.fixture(scope="module")
def method(tmp_path_factory):
    return make("gsta", tmp_path_factory.mktemp("method"))


def make(translator, folder, **more):
    """A method with two channels in different units, and the layers' scales at sizes where each block matters."""
    method = untrained(
        folder / "model.ckpt",
        "custom",
        [4, 2, 16, 16],
        mean=torch.tensor(MEAN, dtype=torch.float64),
        std=torch.tensor(STD, dtype=torch.float64),
        model_type=translator,
        hid_S=4,
        hid_T=16,
        trained_on={"interval_minutes": 360, "lat": None, "lon": None, "units": "K"},
        **more,
    )
    fill(method.model.hid)
    return method


def frames(batch=3):
    noise = np.random.default_rng(0).standard_normal((batch, 4, 2, 16, 16))
    return (noise * np.array(STD) + np.array(MEAN)).astype("float32")


def relative(values):
    """In standard deviations of the data, where the error counts."""
    return (torch.as_tensor(np.asarray(values)).double() - torch.tensor(MEAN)) / torch.tensor(STD)


def codes_in(state_dict):
    return [key for key in state_dict if "codebook" in key]


@pytest.mark.parametrize("translator", TRANSLATORS)
def test_onnx_program_of_every_translator(translator, tmp_path):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is not installed (extra: export)")
    import onnxruntime

    method = make(translator, tmp_path)
    export_onnx(Program(method), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for batch in (1, 3):  # it was exported with 2
        (forecast,) = session.run(["forecast"], {"frames": frames(batch)})
        assert_close(relative(forecast), relative(method.predict(frames(batch))), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("translator", TRANSLATORS)
def test_torch_program_of_every_translator(translator, tmp_path):
    method = make(translator, tmp_path)
    export_torch(Program(method), tmp_path / "model.pt2")
    program = torch.export.load(tmp_path / "model.pt2")
    assert not codes_in(program.state_dict)
    for batch in (1, 3):
        forecast = program.module()(torch.from_numpy(frames(batch)))
        assert_close(relative(forecast), relative(method.predict(frames(batch))), rtol=1e-5, atol=1e-5)


def test_programs_in_bfloat16(method, tmp_path):
    """Forecasts near those in float32, and float32 themselves."""
    checkpoint.save({"state_dict": method.state_dict(), "hyper_parameters": dict(method.hparams)}, tmp_path / "m.ckpt")
    rounded = openstl_svq.load(tmp_path / "m.ckpt", precision="bf16-mixed")
    exact, near = (torch.as_tensor(m.predict(frames())) for m in (method, rounded))
    assert near.dtype == torch.float32 and not torch.equal(near, exact)
    assert_close(relative(near), relative(exact), rtol=0.05, atol=0.05)
    said = message_of("export", tmp_path / "m.ckpt", "--formats", "onnx", "--precision", "bf16-mixed")
    assert "onnxruntime has no convolutions in bfloat16" in said
    run_tool("export", tmp_path / "m.ckpt", "--precision", "bf16-mixed")
    assert {p.name for p in (tmp_path / "export").iterdir()} == {"model.pt2"}
    forecast = torch.export.load(tmp_path / "export" / "model.pt2").module()(torch.from_numpy(frames()))
    assert forecast.dtype == torch.float32
    assert_close(relative(forecast), relative(near), rtol=0.05, atol=0.05)
    with pytest.raises(ValueError, match="unknown precision 'bf16'. Available: 32, bf16-mixed"):
        openstl_svq.load(tmp_path / "m.ckpt", precision="bf16")


def test_a_forecast_longer_and_shorter_than_the_input(tmp_path):
    for steps in (3, 10):
        method = make("gsta", tmp_path, aft_seq_length=steps)
        forecast = Program(method)(torch.from_numpy(frames()))
        assert forecast.shape[1] == steps
        assert_close(relative(forecast), relative(method.predict(frames())), rtol=1e-5, atol=1e-5)


def test_weights_that_do_not_fold(tmp_path):
    """ReLU on the weights: the program keeps the codebook."""
    method = make("gsta", tmp_path, quantizer_kwargs={"codebook_size": 8, "output_relu": True})
    export_torch(Program(method), tmp_path / "model.pt2")
    program = torch.export.load(tmp_path / "model.pt2")
    assert codes_in(program.state_dict)
    forecast = program.module()(torch.from_numpy(frames()))
    assert_close(relative(forecast), relative(method.predict(frames())), rtol=1e-5, atol=1e-5)


def test_weights_with_a_card(method, tmp_path):
    pytest.importorskip("safetensors", reason="safetensors is not installed (extra: export)")
    before = list(method.state_dict())
    export_weights(method, tmp_path)
    assert list(method.state_dict()) == before  # a copy was folded
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["normalisation"] == {"mean": MEAN, "std": STD}
    assert card["trained_on"]["units"] == "K"
    for path in (tmp_path, tmp_path / "model.safetensors", tmp_path / "card.json"):
        loaded = openstl_svq.load(path)
        assert not codes_in(loaded.state_dict())
        assert loaded.hparams.trained_on["interval_minutes"] == 360
        assert_close(relative(loaded.predict(frames())), relative(method.predict(frames())), rtol=1e-5, atol=1e-5)


def test_weights_that_keep_the_codebook(method, tmp_path):
    pytest.importorskip("safetensors", reason="safetensors is not installed (extra: export)")
    export(method, tmp_path, ["safetensors"], keep_codebook=True)
    loaded = openstl_svq.load(tmp_path)
    assert torch.equal(loaded.model.quantizer.codebook, method.model.quantizer.codebook)


@pytest.mark.parametrize("damage", ["card", "weights", "no weights"])
def test_a_damaged_export(damage, method, tmp_path):
    pytest.importorskip("safetensors", reason="safetensors is not installed (extra: export)")
    export_weights(method, tmp_path)
    if damage == "card":
        (tmp_path / "card.json").write_text("{}")
        expected = pytest.raises(ValueError, match=r"card.json is no card of an export.*config")
    elif damage == "weights":
        (tmp_path / "model.safetensors").write_bytes(b"\0" * 100)
        expected = pytest.raises(ValueError, match="model.safetensors is damaged")
    else:
        (tmp_path / "model.safetensors").unlink()
        expected = pytest.raises(FileNotFoundError, match="model.safetensors does not exist")
    with expected:
        openstl_svq.load(tmp_path)


def test_a_folded_model_and_a_plain_one(method, tmp_path):
    checkpoint.save({"state_dict": method.state_dict(), "hyper_parameters": dict(method.hparams)}, tmp_path / "m.ckpt")
    for loaded in (openstl_svq.load(tmp_path / "m.ckpt", fold=True), openstl_svq.load(tmp_path / "m.ckpt", plain=True)):
        assert_close(relative(loaded.predict(frames())), relative(method.predict(frames())), rtol=1e-5, atol=1e-5)
    assert not codes_in(openstl_svq.load(tmp_path / "m.ckpt", fold=True).state_dict())


def test_command_line(method, tmp_path):
    pytest.importorskip("safetensors", reason="safetensors is not installed (extra: export)")
    checkpoint.save({"state_dict": method.state_dict(), "hyper_parameters": dict(method.hparams)}, tmp_path / "m.ckpt")
    run_tool("export", tmp_path / "m.ckpt", "--formats", "torch", "safetensors")
    made = {"model.pt2", "model.safetensors", "card.json", "README.md"}
    assert {p.name for p in (tmp_path / "export").iterdir()} == made
    said = message_of("export", tmp_path / "m.ckpt", "--formats", "onx")
    assert "unknown format 'onx'. Did you mean 'onnx'?" in said
