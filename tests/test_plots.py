"""Pictures: what is drawn on which scale, which frames, whole files, bad input."""

import itertools

import numpy as np
import pytest
from PIL import Image

from openstl_svq.data import synthetic
from openstl_svq.data.sources import Grid
from openstl_svq.data.times import Clock
from openstl_svq.figures.coastlines import coastlines
from openstl_svq.figures.forecast import forecast as forecast_of_run
from openstl_svq.figures.forecast import plot_forecast, time_labels
from openstl_svq.figures.style import save
from openstl_svq.figures.trained_run import TrainedRun, long_name


def forecast(steps_in=4, steps_out=4, channels=1, height=8, width=10):
    rng = np.random.default_rng(0)
    inputs, truth = rng.random((steps_in, channels, height, width)), rng.random((steps_out, channels, height, width))
    return inputs, truth, truth + 0.1 * rng.standard_normal(truth.shape)


@pytest.fixture
def drawn():
    """Draws a forecast; gives the rows of panels, lists of (title, array, norm), and the figure."""

    def draw(*arrays, **options):
        figure = plot_forecast(*arrays, **options)
        rows = {}
        for axis in figure.axes:
            spec = axis.get_subplotspec()
            shown = [*axis.images, *axis.collections]
            if spec.colspan.start < spec.get_gridspec().ncols - 1:
                panel = axis.get_title(), np.asarray(shown[0].get_array()), shown[0].norm
                rows.setdefault(spec.rowspan.start, []).append(panel)
        return [rows[i] for i in range(len(rows))], figure

    return draw


def test_rows_scales_and_labels(drawn):
    inputs, truth, prediction = forecast()
    prediction[2, 0, 3, 4] = 5.0
    rows, figure = drawn(inputs, truth, prediction, units="K", title="a title")
    assert [[panel[0] for panel in row] for row in rows[:2]] == [
        ["t − 3", "t − 2", "t − 1", "t"],
        ["t + 1", "t + 2", "t + 3", "t + 4"],
    ]
    for row, expected in zip(rows, (inputs, truth, prediction, prediction - truth)):
        for t, (_, array, _) in enumerate(row):
            assert np.array_equal(array, expected[t, 0])
    shared = [norm for row in rows[:3] for _, _, norm in row]
    assert {(n.vmin, n.vmax) for n in shared} == {(min(inputs.min(), truth.min()), max(inputs.max(), truth.max()))}
    errors = rows[3][0][2]
    assert errors.vmin == -errors.vmax and 0.1 < errors.vmax <= np.abs(prediction - truth).max()
    assert rows[3][1][0] == f"RMS {np.sqrt(np.mean((prediction - truth)[1] ** 2)):.3g} K"
    labels = [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()]
    assert labels == ["input", "truth", "prediction", "K", "error\n(pred. − truth)", "K"]
    assert figure.get_suptitle() == "a title"


def labels_of(figure):
    return [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()]


def test_several_channels_are_drawn_below_each_other(drawn):
    arrays = forecast(channels=2)
    rows, figure = drawn(*arrays, channel_names=["u10", "r"], units=["m s**-1", "(0 - 1)"])
    assert len(rows) == 8
    for channel in (0, 1):
        for row, expected in zip(rows[4 * channel :], (*arrays, arrays[2] - arrays[1])):
            assert np.array_equal(row[2][1], expected[2, channel])
        shared = {(n.vmin, n.vmax) for row in rows[4 * channel : 4 * channel + 3] for _, _, n in row}
        assert shared == {(min(x[:, channel].min() for x in arrays[:2]), max(x[:, channel].max() for x in arrays[:2]))}
    rms = [np.sqrt(np.mean((arrays[2] - arrays[1])[0, c] ** 2)) for c in (0, 1)]
    assert [rows[3][0][0], rows[7][0][0]] == [f"RMS {rms[0]:.3g} m s⁻¹", f"RMS {rms[1]:.3g}"]
    error = "error\n(pred. − truth)"
    assert labels_of(figure) == [
        "input",
        "truth",
        "prediction",
        "u10 (m s⁻¹)",
        error,
        "m s⁻¹",
        "input",
        "truth",
        "prediction",
        "r",
        error,
    ]


def test_some_channels_of_many(drawn):
    arrays = forecast(channels=12)
    names = [f"{name} {level} hPa" for name in "rtuv" for level in (150, 500, 850)]
    rows, figure = drawn(*arrays, channel_names=names, title="many")
    assert [label for label in labels_of(figure) if "hPa" in label] == [names[c] for c in (0, 6, 11)]
    assert np.array_equal(rows[4 * 2 + 1][0][1], arrays[1][0, 11])
    assert figure.get_suptitle() == "many (3 of 12 channels)"
    rows, figure = drawn(*arrays, channels=[5])
    assert len(rows) == 4 and np.array_equal(rows[2][0][1], arrays[2][0, 5])
    assert labels_of(figure)[:4] == ["input", "truth", "prediction", "channel 5"] and not figure.get_suptitle()


@pytest.mark.parametrize("size", [(32, 64), (64, 64)])
def test_three_levels_stay_on_a_page(tmp_path, size):
    """And the text above the frames stays apart."""
    names, units = [f"wind {level}" for level in (150, 500, 850)], ["m s**-1"] * 3
    figure = plot_forecast(*forecast(12, 12, 3, *size), channel_names=names, units=units, title="t")
    assert figure.get_figheight() <= 10, "inches"
    figure.draw_without_rendering()
    errors = [axis for axis in figure.axes if axis.get_title().startswith("RMS")]
    boxes = [axis.title.get_window_extent() for axis in errors[:6]]
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes))


def test_a_forecast_whose_truth_is_not_known(drawn):
    inputs, _, prediction = forecast()
    rows, figure = drawn(inputs, None, prediction, units="K")
    assert [[panel[0] for panel in row] for row in rows[1:]] == [["t + 1", "t + 2", "t + 3", "t + 4"]] * 2
    assert np.array_equal(rows[1][2][1], prediction[2, 0])
    assert np.array_equal(rows[2][2][1], prediction[2, 0] - inputs[-1, 0])
    assert labels_of(figure) == ["input", "forecast", "K", "change since\nthe last input", "K"]
    colours = drawn(*(np.repeat(x, 3, axis=1) for x in (inputs,)), None, np.repeat(prediction.clip(0, 1), 3, axis=1))[0]
    assert colours[1][0][1].shape == (8, 10, 3)


@pytest.mark.parametrize(
    "times, clock, labels",
    [
        (["2001-01-15", "2001-02-14", "2001-03-15"], Clock(monthly=True), ["+0 months", "+1 month", "+2 months"]),
        (["2001-01-01T00", "2001-01-01T06"], Clock(), ["+0 h", "+6 h"]),
        (["2001-02-27", "2001-03-01", "2001-03-05"], Clock("noleap"), ["+0 d", "+2 d", "+6 d"]),
    ],
)
def test_labels_of_times(times, clock, labels):
    when = np.array(times, dtype="datetime64[m]")
    found = time_labels(when, when[0], clock)
    assert found == labels


def test_long_names_come_from_the_file_or_from_weatherbench():
    grid = Grid([("r", {"long_name": "moisture"}, {"lat": 2, "lon": 2})], {})
    assert [long_name(name, grid) for name in ("r", "r 500", "x")] == ["moisture", "moisture 500", "x"]
    assert [long_name(name) for name in ("t2m", "r 500", "sst")] == [
        "near-surface air temperature",
        "relative humidity 500",
        "sst",
    ]


def test_degrees_on_maps():
    lon = np.arange(64) * 5.625
    figure = plot_forecast(*forecast(height=32, width=64), lat=np.linspace(-87, 87, 32), lon=lon)
    figure.draw_without_rendering()
    said = [text.get_text() for axis in figure.axes for text in (*axis.get_xticklabels(), *axis.get_yticklabels())]
    assert {"90°E", "180°", "90°W", "45°N", "45°S"} <= set(said)


def test_coastlines_where_they_can_be_had(monkeypatch):
    """On any range of longitudes, and nowhere without the package."""
    pytest.importorskip("landcheck")
    for west in (-15, 345):  # Great Britain and Ireland lie here
        lines = coastlines(west, west + 10, 50, 60)
        assert sum(map(len, lines)) > 50 and min(line[:, 0].min() for line in lines) >= west
    assert coastlines(-50, -40, 25, 35) == (), "open sea"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert coastlines(-15, -4, 50, 60) == ()


def test_three_channels_are_colours(drawn):
    inputs, truth, prediction = forecast(channels=3)
    rows, figure = drawn(inputs, truth, prediction)
    assert np.array_equal(rows[2][1][1], np.moveaxis(prediction[1], 0, -1).clip(0, 1))
    assert np.allclose(rows[3][1][1], (prediction - truth)[1].mean(0))
    assert len(figure.axes) == 4 * 4 + 1  # only the error has a colour bar
    # no colours: values with a unit, with names, or beyond what colours have; one of them
    for arrays, options in (
        ((inputs, truth, prediction), {"units": "K"}),
        ((inputs, 2 * truth, prediction), {}),
        ((inputs, truth, prediction), {"channel_names": "abc"}),
        ((inputs, truth, prediction), {"channels": [2]}),
    ):
        assert drawn(*arrays, **options)[0][0][0][1].shape == (8, 10)


@pytest.mark.parametrize(
    "steps_in, steps_out, shown_in, shown_out",
    [
        (
            12,
            12,
            ["t − 10", "t − 8", "t − 6", "t − 4", "t − 2", "t"],
            ["t + 2", "t + 4", "t + 6", "t + 8", "t + 10", "t + 12"],
        ),
        (3, 11, ["t − 2", "t − 1", "t"], ["t + 1", "t + 3", "t + 5", "t + 7", "t + 9", "t + 11"]),
        (10, 10, ["t − 9", "t − 6", "t − 3", "t"], ["t + 2", "t + 4", "t + 6", "t + 8", "t + 10"]),
        (10, 20, ["t − 9", "t − 6", "t − 3", "t"], ["t + 4", "t + 8", "t + 12", "t + 16", "t + 20"]),
        (10, 1, ["t"], ["t + 1"]),
        (2, 4, ["t − 1", "t"], ["t + 1", "t + 2", "t + 3", "t + 4"]),
    ],
)
def test_frames_are_spread_evenly(drawn, steps_in, steps_out, shown_in, shown_out):
    rows, _ = drawn(*forecast(steps_in, steps_out))
    assert [panel[0] for panel in rows[0]] == shown_in
    assert [panel[0] for panel in rows[2]] == shown_out


def test_labels_of_the_frames_drawn(drawn):
    rows, _ = drawn(
        *forecast(3, 9),
        input_labels=["-12 h", "-6 h", "0 h"],
        lead_labels=[f"{6 * i} h" for i in range(1, 10)],
        columns=3,
    )
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
    for name, arrays, options in (
        ("a.png", forecast(12, 12, 1, 32, 64), world),
        ("b.png", forecast(2, 2, 3, 16, 16), {}),
        ("c.png", forecast(4, 4, 5, 16, 16), {}),
    ):
        path = save(plot_forecast(*arrays, title="t", **options), tmp_path / "new" / name)
        with Image.open(path) as picture:
            picture.load()
            assert picture.format == "PNG" and min(picture.size) > 300 and max(picture.size) <= 3200
            assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 100
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["a.png", "b.png", "c.png"]


A, B, C = forecast()


@pytest.mark.parametrize(
    "arrays, options, message",
    [
        ((A, B, C[:3]), {}, r"got \(4, 1, 8, 10\), \(4, 1, 8, 10\), \(3, 1, 8, 10\)"),
        ((A[:, :, :5], B, C), {}, r"\(T_in, C, H, W\)"),
        ((A[0], B[0], C[0]), {}, r"\(T_in, C, H, W\)"),
        ((A, B[:0], C[:0]), {}, r"\(T_in, C, H, W\)"),
        ((A, B, C), {"channels": [1]}, "channel 1 is not among the 1 channels"),
        ((A, B, C), {"channel_names": ["a", "b"]}, "channel_names has 2 entries for 1 channels"),
        ((A, B, C), {"units": ["K", "K"]}, "units has 2 entries for 1 channels"),
        ((A, B, C), {"lat": np.arange(8)}, "both lat and lon"),
        (
            (A, B, C),
            {"lat": np.arange(10), "lon": np.arange(8)},
            r"lat \(10,\) and lon \(8,\) do not fit frames of 8 x 10",
        ),
        ((A, B, C), {"lead_labels": ["1 h"]}, "lead_labels has 1 entries for 4 frames"),
        ((A * np.nan, B * np.nan, C), {}, "input and the truth hold no finite value"),
        ((A, B, C * np.nan), {}, "prediction holds no finite value"),
    ],
)
@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_bad_forecasts(arrays, options, message):
    with pytest.raises(ValueError, match=message):
        plot_forecast(*arrays, **options)


# ---- of a run ----


@pytest.fixture
def of_run(tmp_path, monkeypatch):
    """Draws the forecast of a run of an untrained model as the end of a run does; gives what plot_forecast is given."""

    def draw(name, make, dataset=None, **options):
        from openstl_svq import config
        from openstl_svq.training import experiment

        make(tmp_path)
        drawn = {}
        monkeypatch.setattr(
            "openstl_svq.figures.forecast.plot_forecast", lambda *a, **rest: drawn.update(rest, arrays=a)
        )
        options = {"hid_S": 4, "hid_T": 4, "N_S": 2, "N_T": 2, "quantizer_kwargs.codebook_size": 8, **options}
        run = experiment.Experiment(
            config.resolve(
                [
                    "-d",
                    name,
                    "-m",
                    "simvp_svq",
                    "--data_root",
                    str(tmp_path),
                    "--res_dir",
                    str(tmp_path / "runs"),
                    "--num_workers",
                    "0",
                    "--batch_size",
                    "1",
                    "--accelerator",
                    "cpu",
                    "--cfg_options",
                    *(f"{key}={value}".replace(" ", "") for key, value in options.items()),
                ]
            )
        )
        if dataset:
            dataset(run.data.test_loader.dataset)
        forecast_of_run([TrainedRun(run)])
        return drawn

    return draw


@pytest.mark.parametrize("dataset", [None, lambda dataset: vars(dataset).pop("blue_first")], ids=["ours", "OpenSTL's"])
def test_a_run_on_human_shows_true_colours(of_run, tmp_path, dataset):
    drawn = of_run(
        "human", lambda root: synthetic.human(root, size=16, windows=2, videos=(2, 1)), dataset, in_shape=[4, 3, 16, 16]
    )
    with Image.open(tmp_path / "human" / "images" / "S3_Walking.1_000021.jpg") as image:
        expected = np.asarray(image).transpose(2, 0, 1) / 255
    assert np.allclose(drawn["arrays"][0][3], expected, atol=1e-6)  # the last input of the second window, red first
    assert drawn["title"] == "human, simvp_svq, test window 2 of 2" and drawn["channel_names"] is None


def test_a_run_on_weather_says_what_is_drawn(of_run):
    def make(root):
        synthetic.weather(root / "weather", ["u10", "v10"], {2010: 3, 2016: 3, 2017: 3}, hours=1, levels=None, seed=0)

    drawn = of_run("weather_uv10_5_625", make, train_time=["2010", "2010"], test_time=["2017", "2017"])
    assert drawn["channel_names"] == ["near-surface eastward wind", "near-surface northward wind"]
    assert drawn["units"] == ["m s**-1", "m s**-1"]
    assert drawn["title"] == "weather_uv10_5_625, simvp_svq, last input 2017-01-02 11:00"
    assert drawn["input_labels"][0] == "−11 h" and drawn["lead_labels"][-1] == "+12 h"
    assert len(drawn["lat"]) == 32 and len(drawn["lon"]) == 64
