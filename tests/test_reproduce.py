"""The paper's tables: their plans against what it prints, their runs, and results beside the published numbers."""

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest
from running import message_of

from openstl_svq import cli
from openstl_svq import config as configuration
from openstl_svq.benchmarks.backbones import agrees
from openstl_svq.commands import reproduce
from openstl_svq.config_file import load_config
from openstl_svq.figures import list_figures
from openstl_svq.quantizers import build_quantizer
from openstl_svq.reproduce import compare, higher_is_better, list_plans, load_plan, published, write
from openstl_svq.reproduce.costs import count
from openstl_svq.reproduce.runs import cost, how_to_get, measured, missing_data, plan_runs

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


TABLES = ["1", "2", "3", "4", "5", "6", "7", "8", "12", "13", "14", "15", "B.1"]
FIGURES = ["1", "2", "4", "5", *map(str, range(7, 18))]


def test_there_is_a_plan_for_every_table_and_figure():
    """Tables 9 to 11 are of settings; Figures 3 and 6 are drawings of the method."""
    assert list_plans("table") == TABLES and list_plans("figure") == FIGURES


@pytest.mark.parametrize("kind, name", [*(("table", n) for n in TABLES), *(("figure", n) for n in FIGURES)])
def test_every_plan_is_a_sweep_of_runs_with_names_of_their_own(kind, name, tmp_path):
    plan = load_plan(name, kind)
    planned = plan_runs(plan, [0], tmp_path, scale="sample")
    names = [p.run.name for p in planned]
    assert names and len(set(names)) == len(names)
    filled = {cell.place for p in planned for cell in p.cells}
    assert filled == {cell.place for cell in plan.cells if not plan.sample or cell.variant in plan.sample}
    assert bool(plan.figures) == (kind == "figure") and set(plan.figures) <= list_figures().keys()


# The columns of Table 11, by the rows of Table 4's plan.
TABLE_11 = {
    "VQ": ("VectorQuantize", {"codebook_size": 512, "heads": 1}),
    "Residual VQ": ("ResidualVQ", {"codebook_size": 1024, "num_quantizers": 8, "shared_codebook": True}),
    "Grouped Residual VQ": ("GroupedResidualVQ", {"groups": 2}),
    "Multi-headed VQ": ("VectorQuantize", {"codebook_size": 1024, "heads": 8, "separate_codebook_per_head": False}),
    "Residual VQ (Stochastic)": ("ResidualVQ", {"codebook_size": 1024, "num_quantizers": 8, "shared_codebook": True}),
    "Residual FSQ": ("ResidualFSQ", {"levels": [8, 5, 5, 3], "num_quantizers": 8}),
    "LFQ": ("LFQ", {"codebook_size": 8192, "entropy_loss_weight": 0.1}),
    "Residual LFQ": ("ResidualLFQ", {"num_quantizers": 8}),
}


def built(row):
    """The library's quantizer of a row of Table 4, from its configuration."""
    (cell,) = [cell for cell in load_plan("4").cells if cell.row == row]
    config = load_config(cell.config)
    return build_quantizer(config["quantizer"], 32, **config.get("quantizer_kwargs", {})).library


@pytest.mark.parametrize("row", TABLE_11)
def test_configurations_of_table_4_are_table_11(row):
    name, settings = TABLE_11[row]
    library = built(row)
    assert type(library).__name__ == name
    assert {key: getattr(library, key) for key in settings} == settings


def test_what_lies_inside_the_quantizers_of_table_11():
    grouped = built("Grouped Residual VQ").rvqs[0]
    assert (grouped.codebook_size, grouped.num_quantizers, grouped.shared_codebook) == (1024, 8, True)
    assert built("Residual VQ (Stochastic)").layers[0]._codebook.gumbel_sample.keywords["stochastic"]
    assert built("Residual LFQ").layers[0].codebook_size == 256


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


def test_costs_are_counted_as_the_paper_counts_them():
    plan = load_plan("12")
    chosen = [c for c in plan.cells if c.group == "TaxiBJ" and c.row in ("TAU", "SimVP (w/o VQ)", "SimVP+SVQ", "DMVFN")]
    found = count(dataclasses.replace(plan, cells=chosen), lambda text: None)
    values = found.set_index(["row", "metric"])["value"]
    printed = published("12")
    printed = printed[printed["group"] == "TaxiBJ"].set_index(["row", "metric"])["value"]
    for row in ("TAU", "SimVP (w/o VQ)", "SimVP+SVQ", "DMVFN"):
        for metric, scale, unit in (("params_m", 1e6, "M"), ("flops_g", 1e9, "G")):
            assert agrees(values[row, metric] * scale, f"{printed[row, metric]:g}{unit}"), (row, metric)


def finished(planned, folder, scores=(1.0,), **provenance):
    """Leaves what a finished run leaves, with ``scores`` one after another."""
    for p, score in zip(planned, scores):
        place = folder / p.run.name
        (place / "csv" / "version_0").mkdir(parents=True)
        (place / "config.py").write_text(configuration.dump(p.run.config))
        record = {"scores": {"model": {"mse": score, "mae": score}}, "provenance": provenance}
        (place / "metrics.json").write_text(json.dumps(record))
        (place / "csv" / "version_0" / "metrics.csv").write_text(
            "epoch,step,val_loss,quantizer/perplexity,quantizer/perplexity_theta2,quantizer/kurtosis\n"
            "0,1,0.5,10,20,1.5\n1,3,0.4,30,40,2.5\n"
        )


def test_columns_that_are_no_scores(tmp_path):
    planned = plan_runs(load_plan("13"), [0], tmp_path, scale="sample")[:1]
    assert "--fps" in planned[0].run.words, "a table with a column of speed measures it"
    assert measured(planned[0].run, tmp_path) == {}
    about = {"flops": 2e9, "parameters": 3_000_000, "frames_per_second": 8.0, "train_seconds": 240.0}
    finished(planned, tmp_path, **about)
    assert measured(planned[0].run, tmp_path) == {
        "mse": 1.0,
        "mae": 1.0,
        "perplexity": 30.0,
        "perplexity_2": 40.0,
        "kurtosis": 2.5,
        "flops_g": 2.0,
        "params_m": 3.0,
        "fps": 2.0,  # forecasts of four frames
        "minutes_per_epoch": 2.0,
    }


def test_more_is_better_of_some_and_kurtosis_is_neither():
    assert higher_is_better(load_plan("13")) == {"perplexity", "perplexity_2", "perplexity_3", "fps"}
    assert higher_is_better(load_plan("2")) == {"ssim", "psnr"}
    plan = load_plan("8")
    rows = [(T2M, row, "", "kurtosis", 0, 1.0) for row in dict.fromkeys(cell.row for cell in plan.cells)]
    results = pd.DataFrame(rows, columns=["group", "row", "variant", "metric", "seed", "value"])
    assert compare(plan, results, published("8"), higher_is_better(plan))["improvement"].isna().all()


def test_seeds_that_are_missing_in_a_pair_are_named(tmp_path):
    plan = load_plan("7")
    base, mae, svq = "SimVP (MSE loss)", "SimVP (MAE loss)", "SimVP+SVQ (Learnable, MAE loss)"
    rows = [
        (T2M, row, "", "mse", seed, 1.0)
        for row, seeds in ((base, (0, 1)), (svq, (0, 1, 2)), (mae, (0, 1)))
        for seed in seeds
    ]
    rows += [(T2M, mae, "", "mae", 0, 1.0)]
    results = pd.DataFrame(rows, columns=["group", "row", "variant", "metric", "seed", "value"])
    text = write(plan, compare(plan, results, published("7"), []), tmp_path, "paper")
    assert f"Seeds are missing in a pair: {mae} (its baseline was not run), {svq} (2 of 3 seeds paired)." in text
    whole = results[results["seed"] < 2].query("metric == 'mse'")
    assert "Seeds are missing" not in write(plan, compare(plan, whole, published("7"), []), tmp_path, "paper")


def test_a_run_of_another_version_is_refused_before_anything_runs(tmp_path, monkeypatch):
    planned = plan_runs(load_plan("7"), [0], tmp_path / "t", scale="sample", words=["--data_root", str(tmp_path / "d")])
    finished(planned[2:3], tmp_path / "t", openstl_svq="0.0.1")
    with pytest.raises(ValueError, match="holds a run of openstl_svq 0.0.1, and this is"):
        call(
            monkeypatch,
            "--table",
            "7",
            "--scale",
            "sample",
            "--data_root",
            tmp_path / "d",
            "--res_dir",
            tmp_path,
            "-ex",
            "t",
        )
    assert not (tmp_path / "d").exists() and len(list((tmp_path / "t").iterdir())) == 1


def call(monkeypatch, *words):
    """``tools/reproduce.py`` in this process; the runs are processes of their own."""
    monkeypatch.setattr(cli, "words", lambda: [*map(str, words)])
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    reproduce.main()


# A step of training on two weeks, scored on one.
TIMES = {
    "train": ("2001-01-01", "2001-01-14"),
    "val": ("2002-01-01", "2002-01-07"),
    "test": ("2002-04-01", "2002-04-07"),
}
SHORT = [
    "--scale",
    "sample",
    "--limit_train_batches",
    "1",
    "--jobs",
    "2",
    "--cfg_options",
    "epoch=1",
    "usage_interval=1",
]
SHORT += [f"{name}_time=['{first}','{last}']" for name, (first, last) in TIMES.items()]


def test_a_table_to_its_end(tmp_path, monkeypatch, capsys):
    call(monkeypatch, "--table", "15", "--res_dir", tmp_path, *SHORT)
    text = capsys.readouterr().out
    table = pd.read_csv(tmp_path / "table_15_sample" / "table.csv")
    assert table["mean"].notna().all() and len(table) == 8 and (table["seeds"] == 1).all()
    others = table["row"] != load_plan("15").baseline["row"]
    assert (table["improvement"].notna() == others).all() and table["low"].isna().all(), "one seed has no interval"
    assert "Table 15: " in text and "test the machinery alone" in text
    rows = pd.read_csv(tmp_path / "table_15_sample" / "results.csv")
    assert (rows["state"] == "finished").all() and len(rows) == 4 and (rows["train_seconds"] > 0).all()
    page = (tmp_path / "table_15_sample" / "report.html").read_text()
    assert "Beside the paper" in page and "data:image/png" in page
    assert (table["sign_agrees"].notna() == others).all()


def test_a_figure_to_its_end(tmp_path, monkeypatch, capsys):
    call(monkeypatch, "--figure", "9", "--res_dir", tmp_path, *SHORT)
    picture = tmp_path / "figure_9_sample" / "figures" / "latent_density.png"
    assert picture.stat().st_size > 5000 and str(picture) in capsys.readouterr().out
    page = (tmp_path / "figure_9_sample" / "report.html").read_text()
    assert "density of the latent before and after the quantizer" in page


def test_a_dry_run_says_what_is_left(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "table_15_sample"
    planned = plan_runs(load_plan("15"), [0], folder, scale="sample", words=["--data_root", str(folder / "data")])
    finished(planned[:1], folder)
    call(monkeypatch, "--table", "15", "--scale", "sample", "--res_dir", tmp_path, "--dry_run")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and lines[0].startswith("finished  python tools/train.py")
    assert all("s a step" in line for line in lines[1:4]) and lines[4].startswith("4 runs, at most")
    assert "GB of checkpoints" in lines[4] and not (folder / "data").exists()


def test_all_missing_data_are_listed_with_what_makes_them(tmp_path):
    planned = plan_runs(load_plan("2"), [0], tmp_path, words=["--data_root", str(tmp_path / "data")])
    missing = missing_data(planned)
    assert missing.keys() == {"human", "kitticaltech", "kth"}
    text = how_to_get(missing, tmp_path / "data")
    assert all(f"python tools/make_sample_data.py -d {name} --out {tmp_path}/data" in text for name in missing)


def test_a_baseline_that_is_absent(tmp_path):
    (tmp_path / "paper").mkdir()
    content = (ROOT / "configs/paper/table_15.py").read_text().replace('configs": "weather', 'configs": "../weather')
    for name in ("weather",):
        (tmp_path / name).symlink_to(ROOT / "configs" / name)
    content = content.replace("../weather", "weather").replace('None (All learnable)"}', 'None of it"}')
    (tmp_path / "paper" / "table_15.py").write_text(content)
    with pytest.raises(ValueError, match="has the baseline .*None of it.*, which is none of its cells"):
        load_plan("15", folder=tmp_path / "paper")


def test_unknown_figures(monkeypatch):
    with pytest.raises(ValueError, match="unknown figure '3'"):
        call(monkeypatch, "--figure", "3")


def test_unknown_tables_and_missing_data(tmp_path):
    with pytest.raises(ValueError, match="unknown table '33'"):
        load_plan("33")
    said = message_of("reproduce", "--table", "7", "--data_root", tmp_path, "--res_dir", tmp_path / "runs")
    assert "data are not there" in said and "weather_t2m_5_625" in said
