"""Checkpoints of OpenSTL and of the authors' released code.

``openstl_authors_outputs.npz`` holds outputs of the authors' SimVPVQ (github Pachark/SVQ-Forecasting, commit 3889e6d),
its weights filled by the formula of tests/parity/README.md under its own key names, on ``default_rng(0)`` of shape
(1,2,1,8,16).
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from comparison import assert_close
from filling import filled_value, normal
from running import run_tool

from openstl_svq import convert
from openstl_svq.models import SimVP_SVQ_Model

AUTHORS = np.load(Path(__file__).parent / "openstl_authors_outputs.npz")
SETTINGS = {
    "learnable": {"quantizer_kwargs": {"codebook_size": 20, "hidden_dim": 16}},
    "one_layer": {"quantizer_kwargs": {"codebook_size": 20, "hidden_dim": None, "learn_codebook": False}},
    "narrowed": {"quantizer_kwargs": {"codebook_size": 12, "hidden_dim": 16}},
    "relu_after": {
        "quant_position": "after",
        "quantizer_kwargs": {"codebook_size": 20, "hidden_dim": 16, "output_relu": True},
    },
}


def build(**settings):
    torch.manual_seed(0)
    return SimVP_SVQ_Model((2, 1, 8, 16), hid_S=8, hid_T=24, N_S=2, N_T=2, **settings).eval()


def authors_weights(variant):
    """As the authors' checkpoint of ``variant`` holds them, by the fill formula."""
    first, second = "linear_proj", "linear_proj2"
    if variant == "one_layer":
        second = first
    names = {"proj_in": first, "proj_out": second}
    weights = {}
    for name, value in build(**SETTINGS[variant]).state_dict().items():
        if name.startswith("quantizer.proj"):
            _, layer, leaf = name.split(".")
            name = f"vq.vq.proj_regression_weight.{names[layer]}.{leaf}"
        elif name == "quantizer.codebook":
            name = "vq.vq.codebook"
        filled = torch.from_numpy(np.asarray(filled_value(name, tuple(value.shape)))).float()
        weights[name] = filled if value.is_floating_point() else value
    return weights


@pytest.mark.parametrize("variant", SETTINGS)
def test_authors_weights_give_the_authors_outputs(variant):
    model = build(**SETTINGS[variant])
    model.load_state_dict(convert.convert_state_dict(authors_weights(variant)))
    with torch.no_grad():
        assert_close(model(normal(1, 2, 1, 8, 16)), AUTHORS[variant], what=variant)


@pytest.mark.parametrize("prefix", ["", "model.", "module.", "model.module.", "model._orig_mod."])
def test_wrappers_are_taken_off(prefix):
    plain = convert.convert_state_dict(authors_weights("learnable"))
    wrapped = {prefix + name: value for name, value in authors_weights("learnable").items()}
    assert list(convert.convert_state_dict(wrapped)) == list(plain)


def test_own_weights_stay_as_they_are():
    for settings in (*SETTINGS.values(), {"quant_position": "none"}, {"quantizer": "mlp", "quantizer_kwargs": {}}):
        weights = build(**settings).state_dict()
        converted = convert.convert_state_dict(weights)
        assert list(converted) == list(weights)
        assert all(converted[name] is weights[name] for name in weights)


@pytest.mark.parametrize("variant", SETTINGS)
def test_converting_twice_changes_nothing(variant):
    once = convert.convert_state_dict(authors_weights(variant))
    twice = convert.convert_state_dict(once)
    assert list(twice) == list(once) and all(twice[name] is once[name] for name in once)


def test_authors_baselines():
    """Their classes of vector-quantize-pytorch 1.12.5 have today's names; one flag was an array."""
    weights = {"vq.vq._codebook.initted": torch.ones(1), "vq.vq._codebook.embed": torch.ones(1, 4, 8)}
    converted = convert.convert_state_dict(weights)
    assert {name: tuple(value.shape) for name, value in converted.items()} == {
        "quantizer.library._codebook.initted": (),
        "quantizer.library._codebook.embed": (1, 4, 8),
    }
    pytest.importorskip("vector_quantize_pytorch")
    own = build(quantizer="vq", quantizer_kwargs={"codebook_size": 4}).state_dict()
    assert {name: tuple(value.shape) for name, value in own.items() if name in converted} == {
        name: tuple(value.shape) for name, value in converted.items()
    }


def test_old_swin_checkpoints_load():
    model = SimVP_SVQ_Model((2, 1, 16, 32), hid_S=8, hid_T=24, N_S=2, N_T=3, model_type="swin", quant_position="none")
    weights = dict(model.state_dict())
    for block in range(3):
        weights[f"hid.enc.{block}.block.attn.relative_position_index"] = torch.zeros(16, 16, dtype=torch.int64)
    weights["hid.enc.1.block.attn_mask"] = torch.zeros(8, 16, 16)
    assert list(convert.convert_state_dict(weights)) == list(model.state_dict())


@pytest.mark.parametrize(
    "key",
    ["cell_list.0.conv_x.0.weight", "vq.vq.proj_regression_weight.linear_proj3.weight", "optimizer", "vq.vq.levels"],
)
def test_a_weight_without_a_place_is_named(key):
    weights = {**authors_weights("learnable"), key: torch.zeros(1)}
    with pytest.raises(ValueError, match=f"'{key}' has no place"):
        convert.convert_state_dict(weights)


def test_two_models_in_one_file_are_refused():
    weights = authors_weights("learnable")
    with pytest.raises(ValueError, match="two weights are called 'quantizer.codebook'"):
        convert.convert_state_dict({**weights, "quantizer.codebook": weights["vq.vq.codebook"]})


# ---- files -----------------------------------------------------------------------------------------------------------


def load(path):
    return torch.load(path, weights_only=True)


def test_authors_file(tmp_path):
    content = {"epoch": 3, "optimizer": {"state": {}}, "state_dict": authors_weights("learnable")}
    torch.save(content, tmp_path / "in.pth")
    convert.convert_checkpoint(tmp_path / "in.pth", tmp_path / "out.ckpt")
    saved = load(tmp_path / "out.ckpt")
    assert set(saved) == {"state_dict"}
    assert set(saved["state_dict"]) == {f"model.{name}" for name in build(**SETTINGS["learnable"]).state_dict()}


def test_weights_alone(tmp_path):
    torch.save(authors_weights("learnable"), tmp_path / "in.pth")
    convert.convert_checkpoint(tmp_path / "in.pth", tmp_path / "out.ckpt")
    assert "model.quantizer.codebook" in load(tmp_path / "out.ckpt")["state_dict"]


def openstl_file(tmp_path, method, weights):
    """As Lightning writes it for OpenSTL: numpy statistics among the hyperparameters, which no safe load takes."""
    from pytorch_lightning.utilities.parsing import AttributeDict

    config = AttributeDict(method=method, lr=np.float64(0.1), test_mean=np.zeros((1, 1, 1, 1)), torchscript=False)
    torch.save({"state_dict": weights, "hyper_parameters": config}, tmp_path / "in.ckpt")
    return tmp_path / "in.ckpt"


def test_openstl_file_needs_trust_and_keeps_its_configuration(tmp_path):
    weights = {f"model.{name}": value for name, value in build(quant_position="none").state_dict().items()}
    source = openstl_file(tmp_path, "simvp", weights)
    with pytest.raises(ValueError, match="could run any code.*--trust"):
        convert.convert_checkpoint(source, tmp_path / "out.ckpt")
    assert not (tmp_path / "out.ckpt").exists()
    convert.convert_checkpoint(source, tmp_path / "out.ckpt", trust=True)
    saved = load(tmp_path / "out.ckpt")
    assert {k: saved["hyper_parameters"][k] for k in ("method", "lr")} == {"method": "simvp", "lr": 0.1}
    assert "torchscript" not in saved["hyper_parameters"]
    assert torch.equal(saved["hyper_parameters"]["test_mean"], torch.zeros(1, 1, 1, 1, dtype=torch.float64))


def test_other_methods_keep_their_names(tmp_path):
    weights = {"model.cell_list.0.conv_x.0.weight": torch.ones(2)}
    convert.convert_checkpoint(openstl_file(tmp_path, "ConvLSTM", weights), tmp_path / "out.ckpt", trust=True)
    assert list(load(tmp_path / "out.ckpt")["state_dict"]) == list(weights)


@pytest.mark.parametrize(
    "content, message", [({"epoch": 1}, "holds no weights"), ([1, 2], "is no checkpoint"), ({}, "holds no weights")]
)
def test_files_without_weights(tmp_path, content, message):
    torch.save(content, tmp_path / "in.pth")
    with pytest.raises(ValueError, match=message):
        convert.convert_checkpoint(tmp_path / "in.pth", tmp_path / "out.ckpt")


@pytest.mark.parametrize("trust", [False, True])
def test_damaged_files(tmp_path, trust):
    torch.save(authors_weights("learnable"), tmp_path / "in.pth")
    whole = (tmp_path / "in.pth").read_bytes()
    for content in (whole[: len(whole) // 2], b"not a checkpoint", b""):
        (tmp_path / "in.pth").write_bytes(content)
        with pytest.raises(ValueError, match="damaged|cannot be read"):
            convert.convert_checkpoint(tmp_path / "in.pth", tmp_path / "out.ckpt", trust=trust)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        convert.convert_checkpoint(tmp_path / "absent.pth", tmp_path / "out.ckpt", trust=trust)


def test_command_line(tmp_path, capsys):
    torch.save(authors_weights("learnable"), tmp_path / "in.pth")
    run_tool("convert_checkpoint", tmp_path / "in.pth", tmp_path / "out.ckpt")
    assert (tmp_path / "out.ckpt").is_file()
    assert f"{len(authors_weights('learnable'))} weights" in capsys.readouterr().out
