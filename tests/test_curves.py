"""Curves of training: read from the logs of a run, also of one that was resumed, and drawn."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from openstl_svq.figures.curves import plot_comparison, plot_curves, plot_training, training_curves
from openstl_svq.figures.dynamics import plot_dynamics
from openstl_svq.figures.style import save

HEADER = "epoch,step,train_loss_epoch,val_loss,quantizer/perplexity"


def log(run: Path, *rows: str, version=0, header=HEADER):
    folder = run / "csv" / f"version_{version}"
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text("\n".join([header, *rows, ""]))
    return run


def test_logs_of_a_resumed_run_are_one_curve(tmp_path):
    log(tmp_path, "0,9,,,30", "0,19,,,10", "0,19,0.5,0.6,", version=9)
    log(tmp_path, "1,29,,,40", "1,39,0.4,,", "1,39,,0.5,", version=10)
    found = {name: (x.tolist(), y.tolist()) for name, (x, y) in training_curves(tmp_path).items()}
    assert found == {
        "training loss": ([1, 2], [0.5, 0.4]),
        "validation loss": ([1, 2], [0.6, 0.5]),
        "perplexity": ([1, 2], [20, 40]),
    }


def test_only_what_was_logged(tmp_path):
    log(tmp_path / "a", "0,1,0.5,0.6", header="epoch,step,train_loss_epoch,val_loss")
    assert training_curves(tmp_path / "a").keys() == {"training loss", "validation loss"}
    (tmp_path / "b" / "csv" / "version_0").mkdir(parents=True)
    (tmp_path / "b" / "csv" / "version_0" / "metrics.csv").touch()
    assert training_curves(tmp_path / "b") == training_curves(tmp_path / "c") == {}
    with pytest.raises(ValueError, match="no log of its training"):
        plot_training(tmp_path / "b")
    with pytest.raises(ValueError, match="no curve to draw"):
        plot_comparison({"none": [tmp_path / "b"]})
    (axis,) = plot_training(tmp_path / "a").axes
    assert axis.get_ylabel() == "loss" and len(axis.lines) == 2


def test_a_line_for_each_run_and_a_colour_for_each_group(tmp_path):
    folders = [log(tmp_path / str(k), f"0,1,,{k + 1},", f"1,2,,{k + 0.5},{7 * k}") for k in range(3)]
    figure = plot_comparison({"vq": folders[:2], "svq": folders[2:]})
    loss, perplexity = figure.axes
    assert (loss.get_ylabel(), perplexity.get_ylabel()) == ("validation loss", "perplexity")
    assert [line.get_ydata().tolist() for line in loss.lines] == [[1, 0.5], [2, 1.5], [3, 2.5]]
    first, second, third = (line.get_color() for line in loss.lines)
    assert first == second != third == perplexity.lines[-1].get_color()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["vq", "svq"]


def test_one_epoch_fits_its_axis_and_panels_stay_on_a_page():
    panels = {str(k): {"training": [([1], [0.5])], f"other {k}": [([1], [0.6])]} for k in range(5)}
    figure = plot_curves(panels)
    assert figure.get_figwidth() < 13 and len({axis.get_position().y0 for axis in figure.axes}) == 2
    first = figure.axes[0]
    assert first.get_xticks().tolist() == [1] and first.get_xlim() == (0.5, 1.5)
    assert [text.get_text() for text in first.get_legend().get_texts()] == ["training", "other 0"]
    assert not figure.legends


def test_many_names_stay_apart():
    figure = plot_curves({"loss": {str(i): [([1], [i + 1])] for i in range(25)}})
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(looks) == 25


@pytest.mark.parametrize(
    "values, scale", [([1.0, 0.5, 0.05], "log"), ([1.0, 0.5, 0.2], "linear"), ([1.0, -0.5, 0.01], "linear")]
)
def test_scale(values, scale):
    (axis,) = plot_curves({"loss": {"training": [([10, 20, 30], values)], "other": [([1, 2], [1.0, np.nan])]}}).axes
    assert axis.get_yscale() == scale and axis.lines[0].get_xydata().tolist() == [
        [10 * (i + 1), y] for i, y in enumerate(values)
    ]


def test_an_interrupted_write_leaves_the_old_picture(tmp_path, monkeypatch):
    path = save(plot_curves({"loss": {"a": [([1, 2], [1.0, 2.0])]}}), tmp_path / "c.png")
    before = path.read_bytes()
    with Image.open(path) as picture:
        assert picture.format == "PNG" and min(picture.size) > 300

    def full_disk(self, path, **kwargs):
        Path(path).touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full_disk)
    with pytest.raises(OSError, match="No space"):
        save(plot_curves({"loss": {"a": [([1, 2], [1.0, 3.0])]}}), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "panels, message",
    [
        ({}, r"no curve to draw in \[\]"),
        ({"loss": {}}, r"no curve to draw in \['loss'\]"),
        ({"loss": {"a": [([1], [np.nan])]}}, "no finite value of 'loss'"),
        ({"loss": {"a": [([1], [1.0, 2.0])]}}, "2 values for 1 points"),
    ],
)
def test_bad_curves(panels, message):
    with pytest.raises(ValueError, match=message):
        plot_curves(panels)


def test_what_the_latent_did(tmp_path):
    header = "epoch,step,val_loss,latent/std_before,latent/std_after,quantizer/fold_change,translator/block_share"
    for name, factor in (("a", 1), ("b", 10)):
        log(
            tmp_path / name,
            f"0,0,,1,{2 * factor},0.5,0.1",
            f"0,5,,1,{4 * factor},0.1,0.3",
            "0,9,0.6,,,,",
            header=header,
        )
    axes = plot_training(tmp_path / "a").axes
    found = {axis.get_ylabel(): [line.get_ydata().tolist() for line in axis.lines] for axis in axes}
    assert found["deviation of the latent"] == [[1], [3]]
    assert found["change of the fold in a step"] == [[0.3]] and found["share of the translator's blocks"] == [[0.2]]

    axes = plot_dynamics({"a": tmp_path / "a", "b": tmp_path / "b"}).axes
    after = next(axis for axis in axes if "after" in axis.get_ylabel())
    assert [line.get_ydata().tolist() for line in after.lines] == [[2, 4], [20, 40]]
    assert after.lines[0].get_xdata().tolist() == [0, 5] and after.get_xlabel() == "step"
    with pytest.raises(ValueError, match="logged nothing of latent and fold: train with --usage_interval"):
        plot_dynamics({"c": tmp_path})
