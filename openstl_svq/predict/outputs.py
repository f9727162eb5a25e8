"""Forecasts as files: NetCDF, numpy arrays, pictures and films."""

import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ..data.formats import ARRAYS, IMAGES, VIDEOS
from ..data.registry import dataset_or_default
from ..data.sources import Grid
from ..data.times import STANDARD, Clock
from ..files import replacing

PICTURES = (".gif", ".mp4", ".png")
ENDINGS = (".nc", ".npz", *PICTURES)


def output_path(source: str | os.PathLike, out: str | os.PathLike | None = None, *, force: bool = False) -> Path:
    """Where the forecast from ``source`` goes: ``out``, or a file named after ``source`` in the current folder.

    Raises:
        ValueError: an ending that says no format.
        FileExistsError: the file is there, and ``force`` does not say to replace it.
    """
    source = Path(source)
    if out is None:
        array = source.suffix.lower() in ARRAYS
        files = source.iterdir() if source.is_dir() else ()
        images = source.suffix.lower() in VIDEOS or any(p.suffix.lower() in IMAGES for p in files)
        out = f"{source.resolve().stem}_forecast{'.npz' if array else '.gif' if images else '.nc'}"
    out = Path(out)
    if out.suffix.lower() not in ENDINGS:
        raise ValueError(f"{out}: the ending says the format, and must be one of {', '.join(ENDINGS)}.")
    if out.is_dir():
        raise IsADirectoryError(f"{out} is a folder; give the name of a file.")
    if out.exists() and out.resolve() == source.resolve():
        raise ValueError(f"{out} is the input; give another output.")
    if out.exists() and not force:
        raise FileExistsError(f"{out} exists; give another name (-o), or replace it (force=True, --force).")
    return out


@dataclass
class Result:
    """What a writer writes."""

    path: Path
    forecasts: Iterator[np.ndarray]  # (n, S, C, H, W), batch after batch
    grid: Grid | None  # none where the frames have no times
    clock: Clock | None
    starts: np.ndarray  # last input frame of each forecast, in all (N,)
    times: np.ndarray  # of the forecast frames (N, S)
    leads: np.ndarray  # of the forecast frames, in steps of the series' clock (S,)
    many: bool  # else one forecast alone
    fps: float
    attributes: dict[str, str]


def writer_for(suffix: str, hparams: Any, window: str) -> Callable[[Result], None]:
    """What writes a file of this ending; an error if it cannot hold what the model gives."""
    if suffix not in PICTURES:
        return write_netcdf if suffix == ".nc" else _write_npz
    dataset = dataset_or_default(hparams.dataname)
    if dataset.is_field or hparams.in_shape[1] not in (1, 3):
        raise ValueError(
            f"{suffix} holds pictures, and {hparams.dataname} has none; write {'.nc or ' if dataset.is_field else ''}.npz."
        )
    if window == "all":
        raise ValueError(f"{suffix} holds one forecast; write all of them as .npz.")
    if suffix == ".mp4" and importlib.util.find_spec("imageio_ffmpeg") is None:
        raise ModuleNotFoundError(".mp4 needs an encoder: pip install imageio-ffmpeg, or write .gif.")
    return partial(_write_pictures, blue_first=dataset.image_format.blue_first)


def write_netcdf(result: Result) -> None:
    """Dimensions as in the input; many forecasts have ``init_time`` and ``lead_time`` in place of ``time``."""
    import netCDF4

    clock = result.clock
    calendar, monthly = (STANDARD, False) if clock is None else (clock.calendar, clock.monthly)

    def minutes(times):
        begin = np.datetime64("1900-01-01", "m")
        return np.subtract(*(Clock(calendar).steps(v) for v in (times, begin)))

    cf = {"units": "minutes since 1900-01-01 00:00:00"}
    cf |= {"calendar": "proleptic_gregorian" if calendar == STANDARD else calendar}
    init = {**cf, "standard_name": "forecast_reference_time", "long_name": "time of the last input frame"}
    axes = {"time": (minutes(result.times[0]), {**cf, "standard_name": "time"})}
    if result.many:
        lead = {"standard_name": "forecast_period", "units": "months" if monthly else "minutes"}
        # The months are as long as the calendar says, from each start on; the dtype is for xarray.
        lead |= {} if monthly else {"dtype": "timedelta64[ns]"}
        axes = {"init_time": (minutes(result.starts), init), "lead_time": (result.leads, lead)}
    grid = result.grid
    with replacing(result.path) as part, netCDF4.Dataset(part, "w") as file:
        file.setncatts({"Conventions": "CF-1.8", **result.attributes})
        sizes = {name: len(values) for name, (values, _) in axes.items()}
        for _, _, dims in grid.variables:
            sizes |= dims
        for name, size in sizes.items():
            file.createDimension(name, size)
        for name, (values, attributes) in (axes | grid.coords).items():
            _create(file, name, values.dtype, (name,), attributes)[:] = values
        valid = {**cf, "standard_name": "time", "long_name": "time that the forecast is for"}
        if result.many:
            _create(file, "valid_time", np.int64, ("init_time", "lead_time"), valid)[:] = minutes(result.times)
        else:
            _create(file, "init_time", np.int64, (), init)[:] = minutes(result.starts[0])
        for name, (dims, values, attributes) in grid.more.items():
            _create(file, name, values.dtype, dims, attributes)[:] = values
        extra = {"coordinates": " ".join([*grid.more, "valid_time" if result.many else "init_time"])}
        for name, attributes, dims in grid.variables:
            _create(file, name, np.float32, (*axes, *dims), attributes | extra)
        begin = 0
        for forecast in result.forecasts:
            channel = 0
            for name, _, dims in grid.variables:
                channels = prod(list(dims.values())[:-2])
                values = forecast[:, :, channel : channel + channels]  # (n, S, L, H, W)
                values = values.reshape(*values.shape[:2], *dims.values())
                if result.many:
                    file[name][begin : begin + len(values)] = values
                else:
                    file[name][:] = values[0]
                channel += channels
            begin += len(forecast)


def _create(file, name: str, dtype, dims: tuple, attributes: dict):
    variable = file.createVariable(name, dtype, dims, compression="zlib" if len(dims) > 1 else None)
    variable.setncatts(attributes)
    return variable


def _write_npz(result: Result) -> None:
    """``frames`` (S, C, H, W), or (N, S, C, H, W) of many forecasts; ``times`` and coordinates where there are any."""
    frames = np.concatenate(list(result.forecasts))
    content = {"frames": frames, "times": result.times}
    content = content if result.many else {name: values[0] for name, values in content.items()}
    if result.starts.dtype.kind != "M":
        del content["times"]
    if result.grid is not None:
        coords = result.grid.coords.items(), ((n, v[1:]) for n, v in result.grid.more.items())
        content |= {name: values for group in coords for name, (values, _) in group}
    with replacing(result.path) as part:
        np.savez_compressed(part, attributes=json.dumps(result.attributes), **content)


def _write_pictures(result: Result, blue_first: bool) -> None:
    import imageio.v3 as iio

    ((forecast,),) = result.forecasts  # (S, C, H, W)
    pixels = (forecast.clip(0, 1) * 255).round().astype(np.uint8).transpose(0, 2, 3, 1)  # (S, H, W, C)
    pixels = pixels[..., ::-1] if blue_first else pixels
    pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    suffix = result.path.suffix.lower()
    with replacing(result.path) as part:
        if suffix == ".png":
            iio.imwrite(part, np.concatenate(list(pixels), axis=1))
        elif suffix == ".gif":
            iio.imwrite(part, pixels, duration=1000 / result.fps, loop=0)
        else:
            # Encoders take even sizes only.
            even = [(0, 0), *((0, size % 2) for size in pixels.shape[1:3]), *[(0, 0)] * (pixels.ndim - 3)]
            iio.imwrite(part, np.pad(pixels, even, mode="edge"), plugin="FFMPEG", fps=result.fps, macro_block_size=2)
