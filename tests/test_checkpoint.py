"""Checkpoints: plain, atomic, and refused when they are not."""

import enum
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from openstl_svq.training import checkpoint, run_folder


class Colour(str, enum.Enum):
    RED = "red"


def content():
    return {
        "state_dict": nn.Linear(2, 3).state_dict(),
        "hyper_parameters": {"mean": np.arange(3.0), "lr": np.float64(0.1)},
        "epoch": np.int64(3),
        "colour": Colour.RED,
        "shape": torch.Size([1, 2]),
        "none": None,
    }


def test_everything_saved_is_plain(tmp_path):
    path = tmp_path / "new" / "a.ckpt"
    checkpoint.save(content(), path)
    loaded = torch.load(path, weights_only=True)
    assert torch.equal(loaded["hyper_parameters"]["mean"], torch.arange(3.0, dtype=torch.float64))
    assert loaded["epoch"] == 3 and type(loaded["epoch"]) is int and type(loaded["hyper_parameters"]["lr"]) is float
    assert loaded["colour"] == "red" and type(loaded["colour"]) is str and loaded["shape"] == (1, 2)
    assert sorted(p.name for p in path.parent.iterdir()) == ["a.ckpt"]


def test_what_cannot_be_plain_is_named(tmp_path):
    with pytest.raises(TypeError, match=r"checkpoint\['a'\]\[1\] is a torch.nn.modules.linear.Linear"):
        checkpoint.save({"a": [1, nn.Linear(1, 1)]}, tmp_path / "a.ckpt")


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
    ],
)
def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch, error):
    path = tmp_path / "a.ckpt"
    checkpoint.save(content(), path)
    before = path.read_bytes()

    def full_disk(obj, file):
        file.write(b"half")
        raise error

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="could not be written"):
        checkpoint.save(content(), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.ckpt"]


class Evil:
    def __reduce__(self):
        return print, ("this code must not run",)


@pytest.mark.parametrize(
    "write", [lambda obj, path: torch.save(obj, path), lambda obj, path: path.write_bytes(pickle.dumps(obj))]
)
def test_a_pickle_with_code_is_refused(tmp_path, capsys, write):
    path = tmp_path / "a.ckpt"
    write({"state_dict": {}, "x": Evil()}, path)
    with pytest.raises(ValueError, match="refused.*convert_checkpoint"):
        checkpoint.load(path)
    assert "must not run" not in capsys.readouterr().out


@pytest.mark.parametrize("keep", [0, 10, 500, -30])
def test_a_truncated_file_is_reported(tmp_path, keep):
    path = tmp_path / "a.ckpt"
    checkpoint.save(content(), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="truncated or damaged"):
        checkpoint.load(path)


def test_other_files_and_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        checkpoint.load(tmp_path / "none.ckpt")
    torch.save({"a": 1}, tmp_path / "b.ckpt")
    with pytest.raises(ValueError, match="no 'state_dict'"):
        checkpoint.load(tmp_path / "b.ckpt")
    with pytest.raises(FileNotFoundError, match="no run folder"):
        run_folder.locate(tmp_path)
    with pytest.raises(ValueError, match="carries no configuration"):
        checkpoint.saved_config({"state_dict": {}})


def test_weights_of_another_architecture_are_described():
    state = {"state_dict": {"weight": torch.zeros(3, 4), "other": torch.zeros(1)}}
    with pytest.raises(
        ValueError,
        match=r"1 entries missing \(bias\).*1 entries unknown to the model \(other\).*"
        r"weight is \(3, 4\), the model's is \(3, 2\)",
    ):
        checkpoint.load_weights(nn.Linear(2, 3), state, "checkpoint x")
