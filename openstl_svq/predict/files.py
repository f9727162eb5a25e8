"""From a file or folder of frames to a file of forecasts."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning import LightningModule

from .. import __version__
from ..data.registry import dataset_or_default
from ..protocol import OPENSTL, differences
from ..training.experiment import Experiment
from ..training.predictions import NAMES
from .forecaster import checked_steps
from .inputs import Series, open_series, windows_in
from .outputs import PICTURES, Result, write_netcdf, writer_for


def forecast_file(
    model: LightningModule,
    source: str | os.PathLike,
    out: str | os.PathLike,
    *,
    window: str = "last",
    steps: int | None = None,
    stride: int | None = None,
    check_range: bool = True,
    fps: float = 10,
    batch_size: int = 16,
    attributes: Mapping[str, str] | None = None,
    plot: str | os.PathLike | None = None,
) -> str:
    """Forecasts from the frames in ``source`` and writes the result to ``out``, complete or not at all.

    Args:
        model: from :func:`openstl_svq.load`.
        source: for weather a NetCDF file, or a folder of them, flat or with WeatherBench's folder for each variable.
            For images a folder of them, or a video. For ``custom`` data one series of any kind that can be trained on:
            an array, a store, a folder of images, a video. For any other model ``.npy`` or ``.npz`` with an array
            ``(N, C, H, W)``, in the ``.npz`` alone or named ``frames``, and with ``times`` if they are known.
        out: ``.nc`` (from NetCDF), ``.npz``, or for video ``.gif``, ``.mp4`` (with imageio-ffmpeg), ``.png`` (a row).
        window: ``"last"`` frames of the input, ``"all"`` windows in it, or the time or number of the first input frame.
        steps: frames to forecast (default: ``aft_seq_length``).
        stride: take every so-many-th frame of images and arrays (default: as the dataset's loader, mostly 1).
        check_range: refuse values or units unlike those trained on.
        fps: frames per second of a film.
        batch_size: windows at a time.
        attributes: global attributes to add, for provenance.
        plot: ``.png``: a picture of the forecast, with truth and error where the input goes on that far.

    Returns:
        One line about each file that was written.

    Raises:
        FileNotFoundError: no input.
        ValueError: an input or output that does not fit the model; too few frames, a gap between them, missing values.
    """
    out, source, hparams = Path(out), Path(source), model.hparams
    if batch_size < 1 or fps <= 0:
        raise ValueError(f"the batch size and the frames per second must be above 0, got {batch_size} and {fps}.")
    if plot is not None and (window == "all" or Path(plot).suffix.lower() != ".png"):
        wrong = "all windows" if window == "all" else f"{Path(plot).suffix or 'no ending'}"
        raise ValueError(f"a picture shows one forecast and is a .png; got {wrong} (plot, --plot).")
    steps = checked_steps(hparams, steps)
    inputs, leads = offsets_of(hparams, steps)
    write = writer_for(out.suffix.lower(), hparams, window)
    series = open_series(hparams, source, stride=stride, check_units=check_range)
    if out.suffix.lower() == ".nc" and series.grid is None:
        raise ValueError(f"{source} has no coordinates, which NetCDF needs; write .npz.")
    windows = windows_in(series, inputs, window, source)

    drawn: list[tuple[np.ndarray, np.ndarray]] = []

    def forecasts() -> Iterator[np.ndarray]:
        from tqdm import tqdm

        batches = range(0, len(windows), batch_size)
        for begin in tqdm(batches, unit="batch", disable=None if len(batches) > 1 else True):
            frames = series.read(windows[begin : begin + batch_size])  # (n, T, C, H, W)
            if out.suffix.lower() in PICTURES and (frames.min() < -1e-3 or frames.max() > 1 + 1e-3):
                raise ValueError(
                    f"{source} has values from {frames.min():.6g} to {frames.max():.6g}, and pictures "
                    "show values from 0 to 1; write .npz."
                )
            before = series.when(series.axis[windows[begin : begin + batch_size]])
            forecast = model.predict(frames, steps, check_range=check_range, times=before)
            if plot is not None:
                drawn.append((frames[0], forecast[0]))
            yield forecast if series.grid is None else series.grid.restore(forecast)

    starts = series.axis[windows[:, -1]]
    times = series.when(starts[:, None] + leads * series.unit)  # (n, S)
    protocol = hparams.get("protocol", OPENSTL)
    write(
        Result(
            out,
            forecasts(),
            series.grid,
            series.clock,
            series.when(starts),
            times,
            leads * series.unit,
            window == "all",
            fps,
            {
                "title": f"forecasts of {hparams.method}",
                "source": f"openstl_svq {__version__}, {hparams.method} trained on {hparams.dataname}, protocol {protocol}",
                "input": str(source),
                **(attributes or {}),
            },
        )
    )
    count = f"{len(windows)} forecasts of " if window == "all" else ""
    said = f"{out}: {count}{steps} frames, from {times.min()} to {times.max()}"
    if plot is None:
        return said
    title = f"{series.source.title or source.stem}, {hparams.method}"
    return f"{said}\n{_draw(Path(plot), title, hparams, series, *drawn[0], starts[0], leads)}"


def _draw(
    path: Path, title: str, hparams: Any, series: Series, inputs: np.ndarray, forecast: np.ndarray, start: int, leads
) -> Path:
    """A picture of one forecast: beside the truth where the frames that follow are there."""
    from ..figures.forecast import plot_forecast, shown_time, time_labels
    from ..figures.style import save
    from ..figures.trained_run import long_name

    places, truth, source = start + leads * series.unit, None, series.source
    if np.isin(places, series.axis).all():
        truth = series.read(np.searchsorted(series.axis, places)[None])[0]
    labels, last = {}, series.when(np.atleast_1d(start))[0]
    if series.clock is not None:
        before = start + offsets_of(hparams, len(leads))[0] * series.unit
        shown = (time_labels(series.when(at), last, series.clock) for at in (before, places))
        labels = dict(zip(("input_labels", "lead_labels"), shown))
        title += f", last input {shown_time(last, series.clock)}"
    frames: list = [inputs, truth, forecast]
    if dataset_or_default(hparams.dataname).image_format.blue_first or source.blue_first:
        frames = [None if x is None else x[:, ::-1] for x in frames]
    names = [long_name(name, series.grid) for name, _ in source.channels] if source.channels else None
    units = [unit for _, unit in source.channels] if source.channels else source.units
    figure = plot_forecast(
        *frames, channel_names=names, units=units, lat=source.lat, lon=source.lon, title=title, **labels
    )
    return save(figure, path)


def write_predictions(experiment: Experiment) -> None:
    """``saved/predictions.nc`` of a run that was tested with ``save_predictions``, beside the arrays: predictions and, as
    ``NAME_truth``, the truths on the grid of the data, with times. Only of fields with dates."""
    predictions, dataset = experiment.predictions, experiment.data.test_loader.dataset
    if predictions is None or not experiment.trainer.is_global_zero:
        return
    grid, clock, indices = getattr(dataset, "grid", None), getattr(dataset, "clock", None), predictions.indices
    before, after = predictions.times(indices)
    written = [f"{name}.npy" for name in NAMES]
    if grid is not None and clock is not None and before is not None and after is not None:
        arrays = [np.load(predictions.place / f"{name}.npy", mmap_mode="r") for name in ("preds", "trues")]

        def both() -> Iterator[np.ndarray]:
            for begin in range(0, len(indices), _AT_ONCE):
                blocks = [array[begin : begin + _AT_ONCE] for array in arrays]
                yield grid.restore(np.concatenate(blocks, axis=2))  # (n, T, 2 C, H, W)

        named = [(name, attributes, dims) for name, attributes, dims in grid.variables]
        truths = [(f"{name}_truth", attributes, dims) for name, attributes, dims in named]
        leads = clock.steps(after[0]) - clock.steps(before[0, -1])
        about = {"title": f"test forecasts of {experiment.args.method}", "source": f"openstl_svq {__version__}"}
        path = predictions.place / "predictions.nc"
        write_netcdf(
            Result(
                path,
                both(),
                replace(grid, variables=[*named, *truths]),
                clock,
                before[:, -1],
                after,
                leads,
                True,
                0,
                about,
            )
        )
        written.append(path.name)
    print(f"predictions: {predictions.place}/{{{','.join(written)}}}")


_AT_ONCE = 16  # windows


def offsets_of(hparams: Mapping, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Input frames and forecast frames of a window, counted from its last input frame."""
    if "steps" not in differences(hparams.get("protocol", OPENSTL)) or not hparams.get("idx_in"):
        return np.arange(1 - hparams.pre_seq_length, 1), np.arange(1, steps + 1)
    inputs, leads = np.asarray(hparams.idx_in), np.asarray(hparams.idx_out)
    if steps > len(leads):
        raise ValueError(
            f"{steps} steps; this model was trained on OpenSTL's indices {inputs.tolist()} -> "
            f"{leads.tolist()}, so its output cannot be its next input: {len(leads)} steps at most."
        )
    return inputs, leads[:steps]
