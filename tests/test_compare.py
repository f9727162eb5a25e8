"""results.csv: what makes its axes, and whether two sweeps differ."""

import json
from pathlib import Path

import pytest
from running import run_tool

from openstl_svq import config as configuration
from openstl_svq.statistics import student_quantile
from openstl_svq.sweep import results
from openstl_svq.sweep.paired import compare_sweeps

ROOT = Path(__file__).parents[1]


def table(scores, axis="quantizer", **more):
    """scores: quantizer -> MSE of seed 0, 1, ...; rows as a sweep gives them."""
    rows = [
        {axis: name, "seed": seed, "state": "finished", "run": f"{name}-{seed}", "mse": mse, "torch": "2.4"} | more
        for name, values in scores.items()
        for seed, mse in enumerate(values)
    ]
    return results._table([axis, "seed"], rows)


def verdicts(a, b, **options):
    found = compare_sweeps(a, b, **options)
    return {row["quantizer"]: row["verdict"] for row in found.rows}, found


def test_the_same_sweep_again_is_equal():
    told, found = verdicts(table({"none": [1, 2, 3], "svq": [2, 3]}), table({"none": [1, 2, 3], "svq": [2, 3]}))
    assert told == {"none": "equal", "svq": "equal"}
    assert found.notes[0].startswith("The sweeps are equal")
    assert len(found.notes) == 2, "nobody lacks a partner, and nothing else differs"


def test_differences_are_paired_by_settings_and_seed():
    a = table({"none": [1, 2, 3], "svq": [1, 2, 3], "vq": [1, 2, 3], "lfq": [1, 2]})
    b = table(
        {"none": [0.9, 1.91, 2.9], "svq": [1.1, 2.12, 3.1], "vq": [1.5, 1.5, 3.1], "lfq": [1.1, 2.1]}, torch="2.5"
    )
    told, found = verdicts(a, b)
    assert told == {"none": "B is better", "svq": "B is worse", "vq": "no difference seen", "lfq": "fewer than 3 pairs"}
    assert found.notes[0] == "The sweeps differ: in 2 of 4 comparisons."
    assert "torch: 2.4 in A, 2.5 in B (11 of 11 pairs)." in found.notes
    none = found.rows[0]
    half = student_quantile(1 - 0.05 / 3, 2) * (0.01 / 3**0.5 / 3**0.5)  # deviation of -0.10, -0.09, -0.10
    assert none["difference"] == pytest.approx(-0.29 / 3)
    assert none["high"] - none["difference"] == pytest.approx(half, rel=1e-6)
    assert none["percent"] == pytest.approx(100 * (-0.29 / 3) / 2)


def test_a_score_that_is_better_higher():
    a, b = table({"svq": [0, 0, 0]}), table({"svq": [0, 0, 0]})
    for number, (ours, theirs) in enumerate(zip(a.rows, b.rows)):
        ours["ssim"], theirs["ssim"] = 0.5, 0.6 + number / 100
    a, b = (results._table(["quantizer", "seed"], t.rows) for t in (a, b))
    assert verdicts(a, b, metrics=["ssim"])[0] == {"svq": "B is better"}


def test_runs_without_a_partner_and_other_settings_are_named():
    a, b = table({"none": [1, 2, 3], "vq": [1]}, configuration="x"), table({"none": [1, 2]}, configuration="y")
    notes = "\n".join(compare_sweeps(a, b).notes)
    assert "Only A has: quantizer=none, seed=2; quantizer=vq, seed=0." in notes and "Only B" not in notes
    assert "2 of 2 pairs have other settings besides the axes." in notes


def test_an_axis_with_one_value_may_be_missing():
    """The same model, in a sweep over seeds alone."""
    seeds = table({"svq": [1, 2, 3]})
    seeds.columns = {key: key for key in seeds.columns if key != "quantizer"}
    found = compare_sweeps(table({"svq": [1, 2, 3]}), seeds)
    assert found.rows[0]["verdict"] == "equal" and "quantizer" not in found.columns
    with pytest.raises(ValueError, match=r"A has the axis quantizer \(none, svq\) and the other has not"):
        compare_sweeps(table({"svq": [1], "none": [1]}), seeds)


@pytest.mark.parametrize(
    "a, b, options, message",
    [
        (table({"svq": [1]}), table({"vq": [1]}), {}, "no run of A has a partner in B.*quantizer=svq, seed=0"),
        (table({"svq": [1]}), table({"svq": [1]}), {"metrics": ["mze"]}, "unknown score 'mze'. Did you mean 'mse'"),
    ],
)
def test_sweeps_that_cannot_be_compared(a, b, options, message):
    with pytest.raises(ValueError, match=message):
        compare_sweeps(a, b, **options)


def test_a_sweep_without_a_finished_run():
    a = table({"svq": [1]})
    a.rows[0]["state"] = "failed"
    with pytest.raises(ValueError, match="B has no finished run"):
        compare_sweeps(table({"svq": [1]}), a)


def test_a_run_twice():
    a = table({"svq": [1]})
    a.rows *= 2
    with pytest.raises(ValueError, match=r"A has quantizer=svq, seed=0 twice \(svq-0 and svq-0\)"):
        compare_sweeps(a, table({"svq": [1]}))


# folders


def folder_of(path, words, mse, **provenance):
    """A run folder with scores."""
    path.mkdir(parents=True)
    config = vars(configuration.resolve(["-d", "weather_sample", "-m", "simvp_svq", *words]))
    (path / "config.py").write_text(configuration.dump(config))
    (path / "metrics.json").write_text(json.dumps({"scores": {"model": {"mse": mse}}, "provenance": provenance}))
    return config


def test_the_fewest_settings_that_tell_runs_apart_are_the_axes(tmp_path):
    for number, (seed, words) in enumerate((s, w) for s in "01" for w in ("--lr 0.1 --epoch 3", "--lr 0.2 --epoch 4")):
        folder_of(tmp_path / f"run{number}", [*words.split(), "--seed", seed], number, train_seconds=1.5, torch="2.10")
    found = results.read(tmp_path)
    assert results.axes_of(found) == ["epoch", "seed"], "either of epoch and lr says both"
    assert [(row["epoch"], row["seed"], row["mse"]) for row in found.rows] == [
        ("3", 0, 0),
        ("4", 0, 1),
        ("3", 1, 2),
        ("4", 1, 3),
    ]
    hashes = [row["configuration"] for row in found.rows]
    assert hashes[0] == hashes[2] != hashes[1], "the seed makes no other configuration"
    results.write(found, tmp_path / "results.csv")
    again = results.read(tmp_path).rows[0]
    assert (again["train_seconds"], again["torch"]) == (1.5, "2.10"), "a version is no number"


def test_runs_without_a_quantizer_have_none(tmp_path):
    folder_of(tmp_path / "a", ["--quant_position", "none", "--cfg_options", "quantizer_kwargs.codebook_size=9"], 1)
    folder_of(tmp_path / "b", ["--quantizer", "svq"], 2)
    folder_of(tmp_path / "c", ["--quantizer", "vq"], 3)
    found = results.read(tmp_path)
    assert [row["quantizer"] for row in found.rows] == ["none", "svq", "vq"]
    assert results.axes_of(found) == ["quantizer", "seed"]


def test_where_the_data_lie_makes_no_other_configuration():
    config = vars(configuration.resolve(["-d", "weather_sample", "-m", "simvp_svq"]))
    assert results.configuration_hash(config) == results.configuration_hash(config | {"data_root": "/x", "seed": 7})
    assert results.configuration_hash(config) != results.configuration_hash(config | {"lr": 0.5})


@pytest.mark.parametrize(
    "text, message", [("a,b\n1,2\n", "is no results.csv of a sweep"), ("", "is no results.csv of a sweep")]
)
def test_files_that_are_no_results(tmp_path, text, message):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        results.read(tmp_path / "x.csv")
    with pytest.raises(FileNotFoundError, match="Give a results.csv"):
        results.read(tmp_path / "y.csv")


def test_the_command_line(tmp_path, capsys):
    for name, offset in (("a", 0), ("b", 0.5)):
        results.write(table({"svq": [1 + offset, 2 + offset, 3.1 + offset]}), tmp_path / name / "results.csv")
    out = tmp_path / "c.csv"
    run_tool("compare", tmp_path / "a", tmp_path / "b" / "results.csv", "--out", out)
    shown = capsys.readouterr().out
    assert "| svq" in shown and "B is worse" in shown and "- The sweeps differ: in 1 of 1 comparisons." in shown
    assert out.read_text().splitlines()[0].startswith("quantizer,score,pairs,a,b,difference,low,high")
