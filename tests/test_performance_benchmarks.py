"""The benchmarks of speed, memory and least time: what they compute, on small models."""

import pytest
import torch

from openstl_svq.acceleration import checkpoint_activations
from openstl_svq.benchmarks.acceleration import speed_table
from openstl_svq.benchmarks.memory import memory_table, step_memory
from openstl_svq.benchmarks.roofline import roofline_table
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
