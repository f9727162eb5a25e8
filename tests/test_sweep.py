"""Sweeps: the plan, finished runs left alone, failures and kills survived, the table. Stand-ins do the training."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from running import run_tool
from stand_in import WORDS, Place

from openstl_svq import config as configuration
from openstl_svq import sweep
from openstl_svq.sweep import run

ROOT = Path(__file__).resolve().parents[1]

T_2 = 4.302652729911275  # 97.5 % quantile of Student's t with two degrees of freedom


@pytest.fixture
def place(tmp_path, monkeypatch):
    return Place(tmp_path, monkeypatch)


# the plan


def test_plan_is_the_product_of_the_axes(place):
    runs, cells = place.plan(
        model_type=["gSTA", "swin"], codebook_size=[10, 20], seed=[0, 1], words=[*WORDS, "--lr", "0.01"]
    )
    assert len(runs) == len(cells) == 8
    assert [run.settings["seed"] for run in runs] == [0] * 4 + [1] * 4
    run = runs[5]
    assert run.name == "model_type-gSTA_codebook_size-20_seed-1"
    config = configuration.resolve(run.words)
    assert (config.model_type, config.seed, config.lr) == ("gSTA", 1, 0.01)
    assert config.quantizer_kwargs == {"codebook_size": 20}
    assert Path(config.res_dir, config.ex_name) == place.folder / run.name


def test_plan_over_configuration_files(place):
    files = [str(ROOT / "configs/weather_sample" / f) for f in ("SimVP_gSTA.py", "SimVP_SVQ_gSTA.py")]
    runs, _ = place.plan(config_file=files, seed=[3], words=["-d", "weather_sample"])
    assert [r.name for r in runs] == ["SimVP_gSTA_seed-3", "SimVP_SVQ_gSTA_seed-3"]
    assert [configuration.resolve(r.words).method for r in runs] == ["simvp", "simvp_svq"]


def test_cells_without_a_quantizer_are_one_run(place):
    runs, cells = place.plan(
        quantizer=["none", "svq", "vq"], quant_position=["before", "after"], codebook_size=[64, 128]
    )
    assert len(cells) == 12 and len(runs) == 9
    assert runs[0].settings == {"quantizer": "none", "quant_position": "none", "codebook_size": "none"}
    assert configuration.resolve(runs[0].words).quant_position == "none"


def test_options_of_all_runs_and_of_a_cell_are_merged(place):
    runs, _ = place.plan(
        **{"quantizer_kwargs.init": ["sparse", "orthogonal"]}, options=["quantizer_kwargs.hidden_dim=8"]
    )
    assert runs[0].config["quantizer_kwargs"] == {"hidden_dim": 8, "init": "sparse"}


@pytest.mark.parametrize(
    "axes, words, message",
    [
        ({"seed": [0, 0]}, WORDS, "each once"),
        ({"seed": []}, WORDS, "needs values"),
        ({"modle_type": ["gSTA"]}, WORDS, "Did you mean 'model_type'"),
        ({"quantizer": ["none", "svq"]}, ["-m", "simvp"], "no effect on the method 'simvp'"),
        ({"codebook_size": [1, 2]}, ["-m", "simvp"], "no effect on the method 'simvp'"),
        ({"seed": [0]}, [*WORDS, "--overwrite"], "--overwrite cannot be used"),
        ({"seed": [0]}, [*WORDS, "--resume=x"], "--resume cannot be used"),
        ({"lr": ["a/b", "a-b"]}, WORDS, "lr must be a number"),
        ({"data_name": ["a/b", "a-b"]}, WORDS, "folder name"),
    ],
)
def test_plans_that_cannot_be(place, axes, words, message):
    with pytest.raises(ValueError, match=message):
        place.plan(words=words, **axes)


@pytest.mark.parametrize(
    "word, expected",
    [
        ("lr=1e-3,5e-3", ("lr", [1e-3, 5e-3])),
        ("drop_path=0.0", ("drop_path", [0.0])),
        ("levels=[8,5],[4,4]", ("levels", [[8, 5], [4, 4]])),
        ("a={'b': 1, 'c': 2},None", ("a", [{"b": 1, "c": 2}, None])),
        ("s='x,y',z", ("s", ["x,y", "z"])),
    ],
)
def test_values_of_an_axis(word, expected):
    assert sweep.parse_axis(word) == expected


# running


def test_runs_once_and_only_once(place):
    runs, _ = place.plan(seed=[0, 1])
    failed, lines = place.run(runs)
    assert not failed and place.calls() == ["seed-0", "seed-1"]
    assert "[1/2] seed-0" in lines[0] and "mse 1" in lines[0]
    more, _ = place.plan(seed=[0, 1, 2])
    place.run(more)
    assert place.calls() == ["seed-0", "seed-1", "seed-2"]


def test_a_failed_run_does_not_stop_the_rest_and_is_tried_again(place):
    runs, _ = place.plan(seed=[0, 1, 2], extra={"seed-1": {"error": "loss is NaN"}})
    failed, lines = place.run(runs)
    assert failed == {"seed-1": "error: loss is NaN"} and len(lines) == 3 and "FAILED (1)" in lines[1]
    assert sweep.runs_table(runs, place.folder, ["seed"], failed).rows[1]["state"] == "failed"
    runs, _ = place.plan(seed=[0, 1, 2])
    assert place.run(runs)[0] == {}
    assert place.calls() == ["seed-0", "seed-1", "seed-2", "seed-1 resumed"]


def test_a_run_that_saved_nothing_starts_again(place):
    runs, _ = place.plan(seed=[0], extra={"seed-0": {"before_checkpoint": True}})
    assert place.run(runs)[0] == {"seed-0": "error: nothing saved"}
    runs, _ = place.plan(seed=[0])
    assert place.run(runs)[0] == {} and place.calls() == ["seed-0", "seed-0"]


def test_incomplete_metrics_are_no_result(place):
    runs, _ = place.plan(seed=[0])
    place.run(runs)
    metrics = place.folder / "seed-0" / "metrics.json"
    metrics.write_text(metrics.read_text()[:-5])
    assert sweep.state(runs[0], place.folder) == "interrupted"


def test_another_configuration_in_the_way(place):
    runs, _ = place.plan(seed=[0])
    place.run(runs)
    other, _ = place.plan(seed=[0], words=[*WORDS, "--lr", "0.5"])
    with pytest.raises(ValueError, match="lr is 0.001 there and 0.5 now"):
        place.run(other)
    elsewhere, _ = place.plan(seed=[0], words=[*WORDS, "--num_workers", "0"])
    assert sweep.state(elsewhere[0], place.folder) == "finished", "how many processes load the data is no other run"


def test_something_else_in_the_way(place):
    runs, _ = place.plan(seed=[0, 1])
    (place.folder / "seed-1").mkdir(parents=True)
    (place.folder / "seed-1" / "thesis.tex").touch()
    with pytest.raises(ValueError, match="not a run folder"):
        place.run(runs)
    assert place.calls() == [], "found out before anything runs"


DRIVER = """
import json, pathlib, sys
from openstl_svq import sweep
from openstl_svq.sweep import run
folder, train = map(pathlib.Path, sys.argv[1:3])
runs, _ = sweep.plan({"seed": [0, 1, 2]}, json.loads(sys.argv[3]), [], folder)
class Display:
    update = set_postfix_str = staticmethod(lambda *_: None)
sweep.sweep(runs, folder, train, print, Display)
"""


def _take_interrupts():
    """Also where the tests run in the background: shells let such programs ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _start_sweep(place):
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(place.folder), str(place.train), json.dumps(WORDS)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=_take_interrupts,
    )
    deadline = time.monotonic() + 120
    while "seed-1" not in place.calls():
        assert time.monotonic() < deadline and process.poll() is None, "the sweep did not reach its second run"
        time.sleep(0.02)
    return process


@pytest.mark.skipif(run.fcntl is None, reason="needs file locks")
def test_a_killed_sweep_loses_nothing(place):
    """Its run goes on alone; the next sweep waits for it, and starts no run a second time."""
    runs, _ = place.plan(seed=[0, 1, 2], extra={"seed-1": {"seconds": 1.0}})
    process = _start_sweep(place)
    process.kill()
    process.wait()
    failed, lines = place.run(runs)
    assert not failed and place.calls() == ["seed-0", "seed-1", "seed-2"]
    assert "waiting" in lines[0]


def test_an_interrupted_sweep_ends_its_run(place):
    runs, _ = place.plan(seed=[0, 1, 2], extra={"seed-1": {"seconds": 60}})
    process = _start_sweep(place)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) != 0
    place.plan(seed=[0, 1, 2])
    failed, lines = place.run(runs)
    assert not failed and place.calls() == ["seed-0", "seed-1", "seed-1 resumed", "seed-2"]


def test_last_line_of_a_log_with_a_progress_bar(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"start\nEpoch 0:  50%\r\x1b[KEpoch 0: 100%|##| 3/3\n\n")
    assert sweep.last_line(log) == "Epoch 0: 100%|##| 3/3"
    assert sweep.last_line(tmp_path / "none") == ""


# the table

SCORES = {
    ("gSTA", "none"): [1.0, 1.2, 1.1],
    ("gSTA", "svq"): [0.9, 1.0, 1.0],
    ("swin", "none"): [2.0, 2.0, 2.3],
    ("swin", "svq"): [2.0, 2.2, 2.3],
}


def summarised(place, **options):
    runs, cells = place.plan(
        mse=lambda s: SCORES[s["model_type"], s["quantizer"]][s["seed"]],
        model_type=["gSTA", "swin"],
        quantizer=["none", "svq"],
        seed=[0, 1, 2],
    )
    place.run(runs)
    return sweep.summary_table(runs, cells, place.folder, ["model_type", "quantizer", "seed"], **options), runs


def test_mean_spread_and_paired_difference(place):
    table, _ = summarised(place, baseline={"quantizer": "none"})
    rows = {(r["model_type"], r["quantizer"]): r for r in table.rows}
    row = rows["gSTA", "svq"]
    assert row["runs"] == row["pairs"] == 3
    assert row["mse_mean"] == pytest.approx(2.9 / 3) and row["mse_std"] == pytest.approx(math.sqrt(1 / 300))
    # differences -0.1, -0.2, -0.1: mean -4/30, standard error 1/30
    assert row["mse_difference"] == pytest.approx(-4 / 30)
    assert row["mse_difference_low"] == pytest.approx(-4 / 30 - T_2 / 30)
    assert row["mse_difference_high"] == pytest.approx(-4 / 30 + T_2 / 30)
    assert row["mse_percent"] == pytest.approx(-100 * (0.1 + 0.2 / 1.2 + 0.1 / 1.1) / 3)
    assert "mse_difference" not in rows["gSTA", "none"]
    everything = rows["all", "svq"]
    assert everything["pairs"] == 6
    assert everything["mse_percent"] == pytest.approx(-100 * (0.1 + 0.2 / 1.2 + 0.1 / 1.1 + 0 - 0.1 + 0) / 6)
    text = table.markdown()
    assert "0.9667 ± 0.058" in text and "-0.133 (-0.277 to +0.0101)" in text


def test_variables_of_unlike_units_are_tabled_by_their_normalised_scores(place):
    runs, cells = place.plan(mse=lambda s: s["lr"], lr=[0.25, 0.5])
    place.run(runs)
    for made in runs:  # what a run on degrees and metres writes: no mean over both
        path = place.folder / made.name / "metrics.json"
        record = json.loads(path.read_text())
        of_model = record["scores"]["model"]
        mse = of_model.pop("mse")
        of_model.update(mse_normalised=mse, mse_sst=20 * mse, mse_ssh=mse / 100)
        path.write_text(json.dumps(record))
    table = sweep.summary_table(runs, cells, place.folder, ["lr"], {"lr": "0.25"})
    assert table.rows[1]["mse_normalised_difference"] == 0.25 and not any("sst" in key for key in table.rows[1])
    assert "mse_normalised is better lower" in table.markdown()


def test_a_single_seed_has_no_interval(place):
    runs, cells = place.plan(mse=lambda s: s["lr"], lr=[0.25, 0.5])
    place.run(runs)
    table = sweep.summary_table(runs, cells, place.folder, ["lr"], {"lr": "0.25"})
    assert table.rows[1]["mse_difference"] == 0.25 and math.isnan(table.rows[1]["mse_difference_low"])
    cells = [cell.strip() for cell in table.markdown().splitlines()[3].strip("|").split("|")]
    assert cells == ["0.5", "1", "0.5", "+0.25", "+100.0"]


def test_files_of_the_tables(place):
    table, runs = summarised(place, baseline={"quantizer": "none"})
    sweep.write_tables(place.folder, sweep.runs_table(runs, place.folder, ["model_type", "quantizer", "seed"]), table)
    lines = (place.folder / "results.csv").read_text().splitlines()
    assert lines[0] == "model_type,quantizer,seed,state,run,mse,dataset,method,configuration"
    assert lines[1].startswith("gSTA,none,0,finished,model_type-gSTA_quantizer-none_seed-0,1.0,")
    assert "mse_mean" in (place.folder / "summary.csv").read_text().splitlines()[0]
    assert (place.folder / "summary.md").read_text().startswith("| model_type")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"baseline": {"quantiser": "none"}}, "Did you mean 'quantizer'"),
        ({"baseline": {"quantizer": "vq"}}, "Available: none, svq"),
        ({"metrics": ["msa"]}, "Did you mean 'mse'"),
    ],
)
def test_baselines_and_metrics_that_do_not_exist(place, options, message):
    runs, cells = place.plan(quantizer=["none", "svq"], seed=[0, 1])
    with pytest.raises(ValueError, match=message):
        sweep.check_table(runs, cells, ["quantizer", "seed"], options.get("baseline", {}), options.get("metrics"))


def test_a_metric_that_no_run_has_is_noted(place):
    table, _ = summarised(place, metrics=["mse", "psnr"])
    assert (
        "mse" in table.columns.values() and "psnr" not in table.columns.values() and "No run has psnr." in table.notes
    )


def test_cells_that_share_a_baseline_are_no_independent_pairs(place):
    """Without a quantizer the codebook's size has no effect: one run is the baseline of both sizes."""
    mse = {("none", "none"): 1.0, ("svq", 10): 1.1, ("svq", 20): 1.3}
    runs, cells = place.plan(
        mse=lambda s: mse[s["quantizer"], s["codebook_size"]] + 0.1 * s["seed"],
        quantizer=["none", "svq"],
        codebook_size=[10, 20],
        seed=[0, 1],
    )
    place.run(runs)
    table = sweep.summary_table(
        runs, cells, place.folder, ["quantizer", "codebook_size", "seed"], {"quantizer": "none"}
    )
    everything = table.rows[-1]
    assert everything["quantizer"] == "svq" and everything["codebook_size"] == "all" and everything["pairs"] == 2
    assert everything["mse_percent"] == pytest.approx(100 * (0.2 / 1.0 + 0.2 / 1.1) / 2)


@pytest.mark.parametrize(
    "word, values",
    [
        ("lr=1e-3,5e-3", [0.001, 0.005]),
        ("levels=[4,3],[5,3]", [[4, 3], [5, 3]]),
        ("x=[1,[2,3],[4,5]],6", [[1, [2, 3], [4, 5]], 6]),
        ('x={"a": {"b": 1}},2', [{"a": {"b": 1}}, 2]),
        ("opt=it's,adam", ["it's", "adam"]),
        ("x='a,b',c", ["a,b", "c"]),
    ],
)
def test_values_of_a_grid(word, values):
    assert sweep.parse_axis(word)[1] == values


@pytest.mark.parametrize("word", ["lr=[1e-3,5e-3", "lr=1e-3,,5e-3", "lr=", "lr", "=1", "x='a,b"])
def test_grids_that_cannot_be_read(word):
    with pytest.raises(ValueError, match="--grid"):
        sweep.parse_axis(word)


def test_lists_are_values(place):
    runs, cells = place.plan(**{"quantizer": ["FSQ"], "quantizer_kwargs.levels": [[4, 3], [5, 3]]})
    assert [run.config["quantizer_kwargs"]["levels"] for run in runs] == [[4, 3], [5, 3]]
    assert not place.run(runs)[0]
    assert len(sweep.summary_table(runs, cells, place.folder, ["quantizer", "quantizer_kwargs.levels"]).rows) == 2


def test_settings_of_the_command_line_are_of_every_quantizer(place):
    runs, _ = place.plan(quantizer=["svq", "vq"], options=["quantizer_kwargs.codebook_size=64"])
    assert [run.config["quantizer_kwargs"] for run in runs] == [{"codebook_size": 64}] * 2


@pytest.mark.parametrize(
    "axes, message",
    [
        ({"codebook_size": [64], "quantizer_kwargs.codebook_size": [32]}, "which another axis sets too"),
        ({"ex_name": ["a", "b"]}, "does not make another run"),
        ({"num_workers": [0, 1]}, "does not make another run"),
    ],
)
def test_axes_that_cannot_be(place, axes, message):
    with pytest.raises(ValueError, match=message):
        place.plan(**axes)


@pytest.mark.parametrize(
    "axes, message",
    [
        ({"quantizer": ["svq", "svg"]}, "quantizer-svg: unknown quantizer 'svg'. Did you mean"),
        ({"model_type": ["gSTA", "gstb"]}, "model_type-gstb: .*gstb"),
        ({"quantizer_kwargs.hidden_dim": [16, 0]}, "hidden_dim-0: hidden_dim must be a positive integer, got 0"),
        (
            {"quantizer": ["vq", "svq"], "quantizer_kwargs.decay": [0.5]},
            "quantizer-svq_decay-0.5: unknown setting of svq",
        ),
    ],
)
def test_models_that_cannot_be_built_are_known_before_anything_runs(place, axes, message):
    with pytest.raises(ValueError, match=message):
        place.plan(**axes)


def test_why_a_run_failed(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"error: of an earlier attempt\n")
    begin = log.stat().st_size
    with open(log, "ab") as file:
        file.write(b"epoch 1\r\nerror: loss is NaN\nepoch 1/1:  17%|\r")
    assert sweep.failure(log, begin) == "error: loss is NaN"
    log.write_bytes(
        b"error: of an earlier attempt\nepoch 1/3: val_loss 0.5\n\repoch 2/3:  17%|1 | 2/12 [00:01<00:00]\r"
    )
    assert sweep.failure(log, begin) == "no error was printed, last 'epoch 1/3: val_loss 0.5'"
    log.write_bytes(b"error: of an earlier attempt\nTraining: |          | 0/? [00:00<?, ?it/s]")
    assert sweep.failure(log, begin) == "nothing was printed"


def test_devices_are_part_of_a_run():
    assert sweep.identity({"gpus": [0]}) == sweep.identity({"gpus": [1]}) != sweep.identity({"gpus": [0, 1]})


def test_command_line_dry_run(tmp_path, capsys):
    axes = ["--quantizer", "none", "svq", "--seed", "0", "1"]
    run_tool("sweep", *WORDS, *axes, "-e", "3", "--dry_run", "--res_dir", tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and lines[4] == f"4 runs, 0 finished, in {tmp_path}/sweep"
    assert lines[3].startswith("new ") and "--epoch 3" in lines[3] and "seed=1" in lines[3]
    assert not any(tmp_path.iterdir()), "a dry run writes nothing"


def test_curves_are_named_by_what_differs(place, monkeypatch):
    drawn = {}
    monkeypatch.setattr("openstl_svq.figures.curves.plot_comparison", lambda groups: drawn.update(groups) or Figure())
    runs, _ = place.plan(model_type=["gSTA"], quantizer=["none", "svq"], seed=[0, 1])
    sweep.draw_curves(runs, place.folder, ["model_type", "quantizer", "seed"])
    assert {name: len(folders) for name, folders in drawn.items()} == {"none": 2, "svq": 2}
