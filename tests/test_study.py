"""A study's rows and verdicts."""

import csv
import json
from pathlib import Path

import pytest
from running import run_tool

from openstl_svq.benchmarks.tables import Table
from openstl_svq.figures.paired import plot_paired
from openstl_svq.statistics import mean_interval
from openstl_svq.sweep.paired import compare, rise
from openstl_svq.sweep.results import arms, collect, read, write

ROOT = Path(__file__).parents[1]


def rows(**arms):
    """arm=[MSE of seed 0, 1, ...]; the MAE is half of it."""
    return [
        {"arm": arm, "seed": str(seed), "mse": str(mse), "mae": str(mse / 2)}
        for arm, values in arms.items()
        for seed, mse in enumerate(values)
    ]


def test_verdicts():
    table = compare(
        rows(plain=[1, 2, 3], good=[0.5, 1.01, 1.49], bad=[2, 4.02, 6], same=[1.1, 1.9, 3], few=[0.1, 0.2]),
        dict.fromkeys(["good", "bad", "same", "few"], "plain"),
    )
    found = {row["arm"]: row for row in table.rows}
    assert {arm: row.get("verdict") for arm, row in found.items()} == {
        "plain": None,
        "good": "helps",
        "bad": "harms",
        "same": "undecided",
        "few": "too few runs",
    }
    mean, half = mean_interval([-50.0, 100 * (1.01 / 2 - 1), 100 * (1.49 / 3 - 1)], 1 - 0.05 / 4)
    assert found["good"]["mse_percent"] == pytest.approx(mean)
    assert found["good"]["mse_low"] == pytest.approx(mean - half)
    assert found["few"]["pairs"] == 2
    assert "98.75 % (Bonferroni)" in table.markdown()
    (mse, mae) = plot_paired(table.rows).axes
    assert len(mse.get_yticklabels()) == 4 and mse.get_xlabel() == "difference in MSE, %"


def test_both_scores_decide():
    mixed = [
        row | ({"mae": str(float(row["mae"]) * 4)} if row["arm"] == "good" else {})
        for row in rows(plain=[1, 2, 3], good=[0.5, 1.01, 1.49])
    ]
    assert compare(mixed, {"good": "plain"}).rows[1]["verdict"] == "undecided"


def test_an_arm_has_a_reference_of_its_own():
    table = compare(rows(plain=[1, 2, 3], mse=[2, 4, 6], vq=[2.2, 4.4, 6.6]), {"mse": "plain", "vq": "mse"})
    assert [row["against"] for row in table.rows] == [None, "plain", "mse"]
    assert table.rows[2]["mse_percent"] == pytest.approx(10)


@pytest.mark.parametrize(
    "given, reference, message",
    [
        (rows(plain=[1]), "plane", "unknown arm 'plane'. Did you mean 'plain'"),
        (rows(plain=[1]) * 2, "plain", "arm 'plain' has seed 0 twice"),
    ],
)
def test_bad_rows(given, reference, message):
    with pytest.raises(ValueError, match=message):
        compare(given, {"plain": reference})


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="there is no difference to draw"):
        plot_paired(compare(rows(plain=[1, 2]), {}).rows)


def test_several_variables_have_normalised_scores():
    given = rows(plain=[1, 2, 3], other=[2, 4, 6])
    normalised = [{("mse_normalised" if key == "mse" else key): value for key, value in row.items()} for row in given]
    assert compare(normalised, {"other": "plain"}).rows == compare(given, {"other": "plain"}).rows


def noisy(seeds=(0, 1, 2)):
    """Both arms without noise and with it: the plain one's error doubles, the other's rises by half."""
    return [
        {"arm": f"{arm}, {noise}", "config_file": arm, "noise": noise, "seed": seed, "mse": mse, "mae": mse}
        for arm, errors in (("plain", {"0.0": 1.0, "0.3": 2.0}), ("other", {"0.0": 3.0, "0.3": 4.5}))
        for noise, error in errors.items()
        for seed in seeds
        for mse in [error * (1 + seed / 10)]
    ]


def test_rise_along_an_axis():
    risen = rise(noisy(), ["config_file"], "noise")
    assert {row["arm"] for row in risen} == {"plain, 0.3", "other, 0.3"}
    row = compare(risen, {"other, 0.3": "plain, 0.3"}).rows[1]
    assert (row["mse_mean"], row["mse_percent"], row["verdict"]) == (pytest.approx(1.5), pytest.approx(-25), "helps")


def test_a_rise_needs_its_base():
    with pytest.raises(ValueError, match="'noize': give an axis"):
        rise(noisy(), ["config_file"], "noize")
    with pytest.raises(ValueError, match="must be numbers, got \\['other', 'plain'\\]"):
        rise(noisy(), [], "config_file")
    with pytest.raises(ValueError, match="'plain, 0.3' has no run with seed 0 at noise=0"):
        rise(noisy()[1:], ["config_file"], "noise")


def noisy_file(path):
    columns = ("config_file", "noise", "seed", "state", "run", "mse", "mae")
    lines = [{**row, "state": "finished", "run": f"{row['arm']}, {row['seed']}"} for row in noisy()]
    write(Table({key: key for key in columns}, lines), path)
    return path


@pytest.mark.parametrize("words, against", [([], "plain, 0.0"), (["--rise", "noise"], None)])
def test_arms_are_compared_at_the_same_values_of_the_other_axes(words, against, tmp_path, capsys):
    path = noisy_file(tmp_path / "noise.csv")
    run_tool("study", "--rows", path, "--reference", "plain", *words)
    lines = [[cell.strip() for cell in line.split("|")[1:4]] for line in capsys.readouterr().out.splitlines()]
    expected = [["other, 0.3", "3", "plain, 0.3"]] + ([["other, 0.0", "3", against]] if against else [])
    assert all(line in lines for line in expected)
    assert path.with_name("noise_rise.png" if words else "noise.png").is_file()


@pytest.fixture
def sweep(tmp_path):
    for seed in range(3):
        for arm, mse in (("SimVP_MAE", 1.0), ("SVQ", 1.5)):
            folder = tmp_path / f"{arm}_seed-{seed}"
            (folder / "csv" / "version_0").mkdir(parents=True)
            (folder / "csv" / "version_0" / "metrics.csv").write_text(
                f"epoch,step,val_loss,latent/std_after\n0,9,,{seed}\n0,10,0.5,\n1,19,,{seed + 5}\n1,20,0.4,\n"
            )
            (folder / "config.py").write_text(f"config_file = '/elsewhere/{arm}.py'\nseed = {seed}\n")
            saved = {"scores": {"model": {"mse": mse + seed / 10, "mae": mse / 2}}}
            (folder / "metrics.json").write_text(
                json.dumps(saved | {"provenance": {"torch": "2.4", "checkpoint": "/here"}})
            )
    (tmp_path / "SVQ_seed-3").mkdir()  # not finished
    return tmp_path


def test_rows_of_a_sweep(sweep):
    table = collect(sweep)
    assert list(table.columns)[:4] == ["config_file", "seed", "state", "run"]
    found = arms(table)
    assert sorted((row["arm"], row["seed"]) for row in found) == [
        (arm, seed) for arm in ("SVQ", "SimVP_MAE") for seed in range(3)
    ]
    row = next(row for row in found if (row["arm"], row["seed"]) == ("SVQ", 2))
    assert (row["mse"], row["latent_after"], row["validation_loss"], row["torch"]) == (1.7, 7, 0.4, "2.4")
    assert "/" not in "".join(map(str, row.values()))  # no place of this machine
    write(table, sweep / "results.csv")
    again = {(row["arm"], row["seed"]): row for row in arms(read(sweep))}
    assert again["SVQ", "2"] == {**row, "seed": "2"}, "a file gives back what was written"
    with pytest.raises(ValueError, match="holds no finished run"):
        collect(sweep / "SVQ_seed-0")


def test_the_command_line(sweep, capsys):
    out = sweep / "docs" / "runs.csv"
    for words in ([sweep, "--rows", out], ["--rows", out]):
        run_tool("study", *words)
        assert "| SVQ " in capsys.readouterr().out
        assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert len(list(csv.DictReader(out.open()))) == 6
    by_step = csv.DictReader(out.with_name("runs_dynamics.csv").open())
    assert [float(row["latent_after"]) for row in by_step if row["arm"] == "SVQ"] == [1, 6]  # means of seeds 0, 1, 2
