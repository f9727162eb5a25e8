"""The paper's tables: their plans against what it prints, their runs, and results beside the published numbers."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from openstl_svq.reproduce import compare, list_plans, load_plan, published, write
from openstl_svq.reproduce.runs import cost, plan_runs

ROOT = Path(__file__).parents[1]
T2M = "WeatherBench-S temperature"
OURS = {"4": {"MLP (control)"}}  # rows that are not the paper's


@pytest.mark.parametrize("name", [name for name in list_plans() if name != "B.1"])
def test_a_plan_has_the_rows_that_the_paper_prints(name):
    plan = load_plan(name)
    cells = {cell.place for cell in plan.cells if cell.row not in OURS.get(name, ())}
    printed = published(name)
    assert cells == {tuple(place) for place in printed[["group", "row", "variant"]].itertuples(index=False)}
    assert set(printed["metric"]) <= set(plan.metrics)


def test_published_numbers():
    values = published("3").set_index(["row", "variant", "metric"])["value"]
    assert values["SimVPv2(gSTA)", "w/o SVQ", "mse"] == 1.105 and values["MLP-Mixer", "w SVQ", "mae"] == 0.6455
    assert len(published()) == 700 and pd.to_numeric(published()["value"]).notna().all()


def test_improvements_are_paired_and_signed_for_the_better():
    plan = load_plan("7")
    base, svq = "SimVP (MSE loss)", "SimVP+SVQ (Learnable, MAE loss)"
    rows = [(T2M, base, "", "mse", seed, value) for seed, value in enumerate((2.0, 4.0, 8.0))]
    rows += [(T2M, svq, "", "mse", seed, value) for seed, value in enumerate((1.8, 3.4))]
    results = pd.DataFrame(rows, columns=["group", "row", "variant", "metric", "seed", "value"])
    table = compare(plan, results, published("7"), [])
    row = table[(table["row"] == svq) & (table["metric"] == "mse")].iloc[0]
    assert row["improvement"] == pytest.approx(12.5) and row["pairs"] == 2 and row["seeds"] == 2
    assert row["low"] < 10 and row["high"] > 15, "Student's interval of two pairs is wide"
    assert row["paper_improvement"] == pytest.approx(100 * (1.105 - 1.018) / 1.105) and row["sign_agrees"]
    better = compare(plan, results, published("7"), ["mse"])
    assert better[(better["row"] == svq) & (better["metric"] == "mse")].iloc[0]["improvement"] == pytest.approx(-12.5)
    absent = table[table["metric"] == "mae"]
    assert absent["mean"].isna().all() and absent["improvement"].isna().all(), "what was not run is empty"


def test_the_table_in_three_formats(tmp_path):
    plan = load_plan("7")
    results = pd.DataFrame(
        [(T2M, "SimVP (MSE loss)", "", "mse", 0, 1.25)], columns=["group", "row", "variant", "metric", "seed", "value"]
    )
    text = write(plan, compare(plan, results, published("7"), []), tmp_path, "sample")
    assert "1.25" in text and "1.105" in text and "test the machinery alone" in text
    assert {p.name for p in tmp_path.iterdir()} == {"table.md", "table.csv", "table.tex"}
    assert len(pd.read_csv(tmp_path / "table.csv")) == 8 and "tabular" in (tmp_path / "table.tex").read_text()


def test_runs_of_both_scales(tmp_path):
    plan = load_plan("7")
    paper = plan_runs(plan, [0, 1], tmp_path)
    sample = plan_runs(plan, [0], tmp_path, scale="sample")
    assert len(paper) == 8 and [p.seed for p in paper] == [0] * 4 + [1] * 4
    assert {(p.run.config["dataname"], p.run.config["hid_S"], p.run.config["epoch"]) for p in paper} == {
        ("weather_t2m_5_625", 32, 50)
    }
    assert {(p.run.config["dataname"], p.run.config["hid_S"], p.run.config["epoch"]) for p in sample} == {
        ("weather_sample_4_4_s6", 4, 2)
    }
    found = cost(sample[0].run)
    assert found.seconds > 0 and found.disk > 0 and found.hours is None


def test_cells_of_one_run_share_it(tmp_path):
    planned = plan_runs(load_plan("1"), [0], tmp_path)
    several = [p for p in planned if p.run.config["dataname"] == "weather_mv_4_4_s6_5_625"]
    assert several and all(len(p.cells) == 4 for p in several)
    assert several[0].cells[0].metrics == {"mse": "mse_t", "mae": "mae_t"}


def test_unknown_tables_and_missing_data(tmp_path):
    with pytest.raises(ValueError, match="unknown table '33'"):
        load_plan("33")
    words = ["tools/reproduce.py", "--table", "7", "--data_root", str(tmp_path), "--res_dir", str(tmp_path / "runs")]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and "data are not there" in done.stderr and "weather_t2m_5_625" in done.stderr
    assert "Traceback" not in done.stderr
