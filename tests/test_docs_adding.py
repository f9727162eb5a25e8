"""The recipe for a quantizer in another model: the code of docs/adding.md, run as it is printed."""

import csv
import re
from pathlib import Path

import pytest
import torch
from test_prednet_dmvfn_runs import video  # noqa: F401  (a fixture)
from test_train_cli import fails, run, scores, weights  # noqa: F401  (run is a fixture)

from openstl_svq import methods

PAGE = (Path(__file__).parents[1] / "docs" / "adding.md").read_text(encoding="utf-8")


@pytest.fixture
def words(tmp_path, video, registries):  # noqa: F811
    """A command line for the page's file."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "two_convolutions.py").write_text(code)
    return lambda *extra: [
        *("-d", "custom", "-c", str(tmp_path / "two_convolutions.py"), "--data_root", str(video)),
        *("--res_dir", str(tmp_path / "runs"), "--epoch", "1", "--batch_size", "4", "--val_batch_size", "4"),
        *("--num_workers", "0", "--accelerator", "cpu", "--pre_seq_length", "3", "--aft_seq_length", "2", *extra),
        *("--cfg_options", "in_shape=[3,1,16,16]", "normalise=none", "width=8"),
    ]


def test_it_trains_is_scored_and_tested_again(words, run):  # noqa: F811
    line = words("--quantizer_kwargs", "{'codebook_size': 16}")
    runs = run("train", [*line, "--ex_name", "run"])
    state = weights(runs / "run" / "checkpoints" / "last.ckpt")
    assert state["model.quantizer.codebook"].shape == (16, 8)
    run("test", [str(runs / "run"), *line])
    assert scores(runs / "run" / "test")["scores"] == scores(runs / "run")["scores"]


def test_its_quantizer_learns(words):
    from openstl_svq.config import resolve

    args = resolve(words())
    method = methods.get_method(args.method).cls(
        steps_per_epoch=1, test_mean=0.0, test_std=1.0, save_dir="", **vars(args)
    )
    method.log = lambda *_, **__: None
    method.training_step((torch.rand(2, 3, 1, 16, 16), torch.rand(2, 2, 1, 16, 16)), 0).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in method.model.quantizer.parameters())


def test_a_sweep_has_it_with_and_without(words, run):  # noqa: F811
    folder = run("sweep", words("--quantizer", "none", "vq", "--baseline", "quantizer=none", "-ex", "sweep")) / "sweep"
    rows = list(csv.DictReader((folder / "summary.csv").open()))
    assert {row["quantizer"] for row in rows} == {"none", "vq"}


def test_the_position_that_it_lacks_is_refused(words, run):  # noqa: F811
    assert "unknown quant_position 'after'" in fails(run, words("--quant_position", "after"))
