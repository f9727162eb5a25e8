"""The benchmarks of speed, memory and least time: what they compute, on small models."""

import pytest
import torch

from openstl_svq.acceleration import checkpoint_activations
from openstl_svq.benchmarks.acceleration import speed_table
from openstl_svq.benchmarks.codes import codes_table
from openstl_svq.benchmarks.export import export_table
from openstl_svq.benchmarks.loader import loader_table
from openstl_svq.benchmarks.memory import memory_table, step_memory
from openstl_svq.benchmarks.roofline import roofline_table
from openstl_svq.benchmarks.run_memory import run_memory_table
from openstl_svq.benchmarks.scores import scores_table
from openstl_svq.benchmarks.startup import startup_table
from openstl_svq.benchmarks.step import TrainingStep
from openstl_svq.models import SimVP_SVQ_Model
from openstl_svq.timing import peak_memory

SMALL = {"in_shape": (4, 1, 32, 32), "hid_S": 16, "hid_T": 64, "N_S": 2, "N_T": 3}
SVQ = {"codebook_size": 200, "hidden_dim": 16}


def test_memory_is_that_of_a_real_step():
    """Within a fifth: convolutions on a CPU take buffers of their own."""
    with torch.device("meta"):
        model = SimVP_SVQ_Model(**SMALL, quantizer_kwargs=SVQ)
    computed = step_memory(model, SMALL["in_shape"], 4)
    step = TrainingStep(SimVP_SVQ_Model(**SMALL, quantizer_kwargs=SVQ), SMALL["in_shape"], 4)
    measured = peak_memory(step) + sum(
        p.nbytes for p in step.model.parameters()
    )  # gradients and moments are made in it
    assert computed == pytest.approx(measured, rel=0.2)
    with torch.device("meta"):
        checkpointed = SimVP_SVQ_Model(**SMALL, quantizer_kwargs=SVQ)
    checkpoint_activations(checkpointed)
    assert step_memory(checkpointed, SMALL["in_shape"], 4) < 0.6 * computed


def test_batch_16_fits_a_card_of_24_gib():
    rows = {row["dataset"]: row for row in memory_table(["human", "kitticaltech"]).rows}
    for row in rows.values():
        assert row["checkpointed"] < 0.9 * 24 * 2**30 < 32 * 2**30 < row["reference"]
        assert row["fits"] == "checkpointed"


def test_least_time_counts_the_published_operations():
    """Three times the 7.01 G multiply-adds of Table 12's SimVP and the fold's, two operations each, 16 samples."""
    rows = {row["kind"]: row for row in roofline_table().rows}
    assert rows["all"]["flops"] == pytest.approx(3 * 2 * 16 * 7.01e9, rel=0.02)
    assert rows["all"]["seconds"] == pytest.approx(sum(row["seconds"] for row in rows.values()) / 2)
    assert rows["depthwise convolutions"]["bound"] == "bytes"


def test_speed_compares_a_step_and_forecasts():
    row = speed_table(SMALL, ["TAU"], batch_size=1, codebook_size=50, rounds=1).rows[0]
    for key in ("step", "forecast_1", "forecast_16"):
        assert row[f"{key}_ratio"] == pytest.approx(row[f"{key}_fast"] / row[f"{key}_plain"])
    with pytest.raises(ValueError, match="unknown precision 'fp8'"):
        speed_table(SMALL, precision="fp8")


def test_exported_files_are_smaller_without_their_codebook():
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is not installed (extra: export)")
    rows = {row["form"]: row for row in export_table(SMALL, codebook_size=20_000, rounds=1).rows}
    plain = rows.pop("checkpoint, plain")
    assert plain["ratio_1"] == plain["ratio_16"] == 1
    codebook = 4 * 20_000 * (16 + 128 + 1)  # M, W2 and b2
    for name, row in rows.items():
        kept = name == "checkpoint"
        assert (plain["bytes"] - row["bytes"] < 0.1 * codebook) == kept
        assert row["ratio_16"] == pytest.approx(row["seconds_16"] / plain["seconds_16"])
    with pytest.raises(ValueError, match="timed on the CPU"):
        export_table(device="cuda")


def test_codes_cost_memory_and_a_frozen_codebook_no_state():
    few, many, frozen = codes_table(SMALL, few=50, many=5000, batch_size=1, rounds=1).rows
    assert many["codebook"] == frozen["codebook"] == 100 * few["codebook"]
    assert 2 * many["codebook"] <= many["state"] < 2.1 * many["codebook"]  # Adam's two moments
    assert frozen["state"] == 0


def test_scores_are_a_share_of_the_test_epoch():
    (row,) = scores_table(["taxibj"], batch_size=1, rounds=1).rows
    assert row["metrics"] == "mse, mae, ssim, psnr"
    assert row["share"] == pytest.approx(row["scores"] / (row["scores"] + row["forecast"]))


def test_loaders_are_timed_at_full_frame_size():
    (row,) = loader_table(["kitticaltech"], batch_size=4, num_workers=0, seconds=1e-3).rows
    # KittiCaltech's 96.24 G multiply-adds and the fold, three times, at 40 % of 494 TFLOP/s.
    assert row["need"] == pytest.approx(0.4 * 494e12 / (2 * 3 * 96.24e9), rel=0.02)
    assert row["cold"] > 0 and row["warm_ratio"] == pytest.approx(row["warm"] / row["need"])


def test_a_run_reaches_its_first_step():
    imports, run = startup_table(rounds=1).rows
    assert run["ratio"] == pytest.approx(run["seconds"] / imports["seconds"])
    with pytest.raises(RuntimeError, match="unknown dataset 'nowhere'"):
        startup_table(dataname="nowhere", rounds=1)


def test_memory_of_a_run_does_not_grow(capsys):
    second, middle, last, test, larger = (row["memory"] for row in run_memory_table(epochs=4, windows=40, times=8).rows)
    data = 8 * 40 * 9 * 64 * 64 * 4  # what the larger test set would take, if it were kept
    assert last - second < 30 * 2**20 and larger - test < 0.6 * data
    assert not capsys.readouterr().out
    with pytest.raises(ValueError, match="take 3 or more"):
        run_memory_table(epochs=2)
