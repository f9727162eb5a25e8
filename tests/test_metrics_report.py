"""The files and the table of scores."""

import csv
import json
import math
from pathlib import Path

import pytest

from openstl_svq.metrics import report
from openstl_svq.metrics.report import format_table, skill, write_metrics

RESULTS = {
    "model": {
        "mse_u": 1.0,
        "mse_v": 2.0,
        "mse": 1.5,
        "mse_by_lead": [1.0, 2.0],
        "rmse": 1.2,
        "psnr": math.inf,
        "ssim": 0.1 + 0.2,
    },
    "persistence": {
        "mse_u": 2.0,
        "mse_v": 2.0,
        "mse": 2.0,
        "mse_by_lead": [1.0, 3.0],
        "rmse": 1.4,
        "psnr": 20.0,
        "ssim": 0.2,
    },
    "climatology": {"mse": 4.0, "mse_by_lead": [0.0, 8.0]},
}


def test_skill():
    gains = skill(RESULTS)
    assert set(gains) == {"model"} and set(gains["model"]) == {"persistence", "climatology"}
    assert gains["model"]["persistence"] == {
        "mse_u": 0.5,
        "mse_v": 0.0,
        "mse": 0.25,
        "mse_by_lead": [0.0, pytest.approx(1 / 3)],
    }
    first, second = gains["model"]["climatology"]["mse_by_lead"]
    assert math.isnan(first) and second == 0.75  # a reference without error cannot be improved on
    assert skill({"model": {"mae": 1.0}, "persistence": {"mae": 2.0}}) == {}


def test_files(tmp_path):
    json_path, csv_path = write_metrics(tmp_path / "run", RESULTS, units="K", provenance={"seed": 3, "lr": math.nan})
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["metrics.csv", "metrics.json"]

    record = json.loads(json_path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert record["provenance"] == {"seed": 3, "lr": None} and record["units"] == "K"
    assert record["scores"]["model"]["psnr"] is None
    assert record["scores"]["persistence"] == RESULTS["persistence"]
    assert record["skill"]["model"]["climatology"] == {"mse": 0.625, "mse_by_lead": [None, 0.75]}

    rows = list(csv.DictReader(csv_path.open()))
    by_key = {(r["model"], r["metric"], r["lead"]): (r["value"], r["unit"]) for r in rows}
    assert len(by_key) == len(rows) == 8 + 8 + 3 + 5 + 3  # scores of three forecasts, skill against two references
    assert by_key["model", "mse", ""] == ("1.5", "K^2")
    assert by_key["model", "mse", "2"] == ("2.0", "K^2")
    assert by_key["model", "mse_v", ""] == ("2.0", "K^2")
    assert by_key["model", "rmse", ""] == ("1.2", "K")
    assert by_key["model", "psnr", ""] == ("inf", "dB")
    assert by_key["model", "skill_persistence_u", ""] == ("0.5", "")
    assert by_key["model", "skill_climatology", "2"] == ("0.75", "")
    assert float(by_key["model", "ssim", ""][0]) == 0.1 + 0.2  # to the last bit
    assert ("persistence", "skill_persistence", "") not in by_key


def test_units():
    rows = report.tidy_rows({"model": {"mse": 1.0, "wrmse": 1.0, "acc": 1.0}}, "m s-1")
    assert {row["metric"]: row["unit"] for row in rows} == {"mse": "(m s-1)^2", "wrmse": "m s-1", "acc": ""}
    assert {row["unit"] for row in report.tidy_rows({"model": {"mse": 1.0, "mae": 1.0}})} == {""}


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    write_metrics(tmp_path, {"model": {"mse": 1.0}})
    before = (tmp_path / "metrics.json").read_bytes()

    def full_disk(self, *args, **kwargs):
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_metrics(tmp_path, {"model": {"mse": 2.0}})
    assert (tmp_path / "metrics.json").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["metrics.csv", "metrics.json"]


def test_table():
    table = format_table(RESULTS).splitlines()
    assert table[0].split() == ["forecast", "mse_u", "mse_v", "mse", "rmse", "psnr", "ssim"]
    assert table[1].split() == ["model", "1", "2", "1.5", "1.2", "inf", "0.3"]
    assert table[3].split() == ["climatology", "-", "-", "4", "-", "-", "-"]
    assert len(set(map(len, table[:4]))) == 1
    assert table[4] == "skill of model: 0.250 against persistence, 0.625 against climatology (1 - mse / mse_reference)"
    assert len(format_table({"model": {"mae": 1.0}}).splitlines()) == 2


def test_a_table_of_many_channels_shows_the_whole_and_says_where_the_rest_is():
    names = [f"z_{level}" for level in range(40)]
    scores = {"mse": 1.0, **{f"mse_{name}": float(k) for k, name in enumerate(names)}}
    lines = format_table({"model": scores, "persistence": scores}).splitlines()
    assert lines[0].split() == ["forecast", "mse"] and lines[-1] == "scores by channel: metrics.csv"
    few = {name: scores[name] for name in ("mse", "mse_z_0")}
    assert "mse_z_0" in format_table({"model": few}) and "metrics.csv" not in format_table({"model": few})
