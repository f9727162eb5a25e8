"""Pictures: what is drawn on which scale, which frames, whole files, bad input."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from matplotlib.figure import Figure

from openstl_svq.analysis import plots
from openstl_svq.analysis.plots import plot_curves, plot_forecast


def forecast(steps_in=4, steps_out=4, channels=1, height=8, width=10):
    rng = np.random.default_rng(0)
    inputs, truth = rng.random((steps_in, channels, height, width)), rng.random((steps_out, channels, height, width))
    return inputs, truth, truth + 0.1 * rng.standard_normal(truth.shape)


@pytest.fixture
def drawn(monkeypatch):
    """Draws a forecast without writing it; gives the rows of panels, lists of (title, array, norm), and the figure."""
    def draw(*arrays, **options):
        figures = []
        monkeypatch.setattr(plots, "_save", lambda figure, path: figures.append(figure))
        plot_forecast("unused.png", *arrays, **options)
        figure, = figures
        rows = {}
        for axis in figure.axes:
            spec = axis.get_subplotspec()
            shown = [*axis.images, *axis.collections]
            if spec.colspan.start < spec.get_gridspec().ncols - 1:
                panel = axis.get_title(), np.asarray(shown[0].get_array()), shown[0].norm
                rows.setdefault(spec.rowspan.start, []).append(panel)
        return [rows[i] for i in range(4)], figure
    return draw


def test_rows_scales_and_labels(drawn):
    inputs, truth, prediction = forecast()
    prediction[2, 0, 3, 4] = 5.0
    rows, figure = drawn(inputs, truth, prediction, units="K", title="a title")
    assert [[panel[0] for panel in row] for row in rows[:2]] == [
        ["t − 3", "t − 2", "t − 1", "t"], ["t + 1", "t + 2", "t + 3", "t + 4"]]
    for row, expected in zip(rows, (inputs, truth, prediction, prediction - truth)):
        for t, (_, array, _) in enumerate(row):
            assert np.array_equal(array, expected[t, 0])
    shared = [norm for row in rows[:3] for _, _, norm in row]
    assert {(n.vmin, n.vmax) for n in shared} == {(min(inputs.min(), truth.min()), max(inputs.max(), truth.max()))}
    errors = rows[3][0][2]
    assert errors.vmin == -errors.vmax and 0.1 < errors.vmax <= np.abs(prediction - truth).max()
    assert rows[3][1][0] == f"RMS {np.sqrt(np.mean((prediction - truth)[1] ** 2)):.3g} K"
    labels = [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()]
    assert labels == ["input", "truth", "prediction", "K", "error", "K"]
    assert figure.get_suptitle() == "a title"


def test_one_channel_of_several(drawn):
    arrays = forecast(channels=2)
    rows, _ = drawn(*arrays, channel=1)
    assert np.array_equal(rows[2][0][1], arrays[2][0, 1])
    assert rows[3][0][0] == f"RMS {np.sqrt(np.mean((arrays[2] - arrays[1])[0, 1] ** 2)):.3g}"
    assert np.array_equal(drawn(*arrays)[0][2][0][1], arrays[2][0, 0])


def test_three_channels_are_colours(drawn):
    inputs, truth, prediction = forecast(channels=3)
    rows, figure = drawn(inputs, truth, prediction)
    assert np.array_equal(rows[2][1][1], np.moveaxis(prediction[1], 0, -1).clip(0, 1))
    assert np.allclose(rows[3][1][1], (prediction - truth)[1].mean(0))
    assert len(figure.axes) == 4 * 4 + 1  # only the error has a colour bar
    assert drawn(inputs, truth, prediction, units="K")[0][0][0][1].shape == (8, 10)  # not colours if they have a unit
    assert drawn(inputs, truth, prediction, channel=2)[0][0][0][1].shape == (8, 10)


@pytest.mark.parametrize("steps_in, steps_out, shown_in, shown_out", [
    (12, 12, ["t − 11", "t − 9", "t − 7", "t − 4", "t − 2", "t"],
     ["t + 1", "t + 3", "t + 5", "t + 8", "t + 10", "t + 12"]),
    (10, 1, ["t"], ["t + 1"]),
    (2, 4, ["t − 1", "t"], ["t + 1", "t + 2", "t + 3", "t + 4"]),
])
def test_frames_are_spread_evenly(drawn, steps_in, steps_out, shown_in, shown_out):
    rows, _ = drawn(*forecast(steps_in, steps_out))
    assert [panel[0] for panel in rows[0]] == shown_in
    assert [panel[0] for panel in rows[2]] == shown_out


def test_labels_of_the_frames_drawn(drawn):
    rows, _ = drawn(*forecast(3, 9), input_labels=["-12 h", "-6 h", "0 h"],
                    lead_labels=[f"{6 * i} h" for i in range(1, 10)], columns=3)
    assert [panel[0] for panel in rows[0]] == ["-12 h", "-6 h", "0 h"]
    assert [panel[0] for panel in rows[1]] == ["6 h", "30 h", "54 h"]


def test_maps(drawn):
    lat, lon = np.linspace(60, 51, 10), np.linspace(-12, 6, 10) % 360
    _, figure = drawn(*forecast(height=10), lat=lat, lon=lon)
    corners = [axis.get_xlim() + axis.get_ylim() for axis in figure.axes[:4]]
    assert corners == [pytest.approx((-13, 7, 50.5, 60.5))] * 4


def test_constant_and_partly_missing_fields(drawn):
    constant = np.ones((2, 1, 5, 5))
    errors = drawn(constant, constant, constant)[0][3][0][2]
    assert errors.vmin < 0 < errors.vmax
    holed = constant.copy()
    holed[:, :, 0] = np.nan
    assert drawn(holed, holed, 2 * holed)[0][3][0][0] == "RMS 1"


def test_file_is_a_png_of_a_readable_size(tmp_path):
    world = {"lat": np.linspace(87, -87, 32), "lon": np.arange(64) * 5.6}
    for name, arrays, options in (("a.png", forecast(12, 12, 1, 32, 64), world),
                                  ("b.png", forecast(2, 2, 3, 16, 16), {})):
        path = plot_forecast(tmp_path / "new" / name, *arrays, title="t", **options)
        with Image.open(path) as picture:
            picture.load()
            assert picture.format == "PNG" and 300 < min(picture.size) and max(picture.size) < 3000
            assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 100
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["a.png", "b.png"]


def test_an_interrupted_write_leaves_the_old_picture(tmp_path, monkeypatch):
    path = plot_curves(tmp_path / "c.png", {"a": [1.0, 2.0]})
    before = path.read_bytes()

    def full_disk(self, path, **kwargs):
        Path(path).touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full_disk)
    with pytest.raises(OSError, match="No space"):
        plot_curves(path, {"a": [1.0, 3.0]})
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("values, scale", [
    ([1.0, 0.5, 0.05], "log"), ([1.0, 0.5, 0.2], "linear"), ([1.0, -0.5, 0.01], "linear")])
def test_curves(monkeypatch, values, scale):
    figures = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.append(figure))
    plot_curves("unused.png", {"training": values, "validation": [1.0, np.nan, 0.9]}, x=[10, 20, 30], title="loss")
    axis, = figures[0].axes
    assert axis.get_yscale() == scale
    assert [line.get_label() for line in axis.lines] == ["training", "validation"]
    assert axis.lines[0].get_xydata().tolist() == [[x, y] for x, y in zip((10, 20, 30), values)]


A, B, C = forecast()


@pytest.mark.parametrize("arrays, options, message", [
    ((A, B, C[:3]), {}, r"got \(4, 1, 8, 10\), \(4, 1, 8, 10\), \(3, 1, 8, 10\)"),
    ((A[:, :, :5], B, C), {}, r"\(T_in, C, H, W\)"),
    ((A[0], B[0], C[0]), {}, r"\(T_in, C, H, W\)"),
    ((A, B[:0], C[:0]), {}, r"\(T_in, C, H, W\)"),
    ((A, B, C), {"channel": 1}, "channel 1 is not among the 1 channels"),
    ((A, B, C), {"lat": np.arange(8)}, "both lat and lon"),
    ((A, B, C), {"lat": np.arange(10), "lon": np.arange(8)}, r"lat \(10,\) and lon \(8,\) do not fit frames of 8 x 10"),
    ((A, B, C), {"lead_labels": ["1 h"]}, "lead_labels has 1 entries for 4 frames"),
    ((A * np.nan, B * np.nan, C), {}, "input and the truth hold no finite value"),
    ((A, B, C * np.nan), {}, "prediction holds no finite value"),
])
@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_bad_forecasts(tmp_path, arrays, options, message):
    with pytest.raises(ValueError, match=message):
        plot_forecast(tmp_path / "x.png", *arrays, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("curves, x, message", [
    ({}, None, "no curve"), ({"a": []}, None, "no curve"), ({"a": [np.nan]}, None, "no finite value"),
    ({"a": [1.0, 2.0]}, [1], "2 values for 1 points"),
])
def test_bad_curves(curves, x, message):
    with pytest.raises(ValueError, match=message):
        plot_curves("unused.png", curves, x=x)
