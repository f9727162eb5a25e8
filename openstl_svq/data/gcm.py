"""Weather from a general circulation model, in WeatherBench's NetCDF layout.

The model is ``jcm`` (PyPI, Apache-2.0): spectral dynamics and SPEEDY physics in JAX, here at T21, whose Gaussian grid
has 64 x 32 points, with 8 levels and 30-minute steps, from a perturbed rest state. Sea surface temperature, sea ice,
soil and snow are SPEEDY's monthly climatology, repeated every year. What comes out is the model's own weather: storm
tracks, land and sea, seasons; no diurnal cycle, no observations.

A run is a chain of pieces of five days. After each, its fields and then the model's state are saved, so that an
interrupted run continues after the last piece and gives the fields that it would have given anyway; a later call for
more years continues too. On another machine or version of the model the same seed gives other weather of the same
climate.
"""

import contextlib
import io
import json
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files import replacing, write_text
from .formats.weatherbench import VARIABLES, WEATHERBENCH_GRID, write_file

PIECE_DAYS = 5
_LAYERS, _TRUNCATION, _TIME_STEP = 8, 21, 30.0
_SURFACE_PRESSURE = 1000.0  # hPa, what jcm normalises surface pressure by

_RADIUS, _ROTATION, _GRAVITY, _KAPPA = 6.371e6, 7.292e-5, 9.81, 2 / 7  # m, 1/s, m/s2, gas constant over heat capacity


def vorticity(u: np.ndarray, v: np.ndarray, latitudes: np.ndarray) -> np.ndarray:
    """Relative vorticity ``(dv/dx - d(u cos lat)/dy / cos lat)``, 1/s, by central differences.

    Args:
        u, v: winds, m/s, ``(..., lat, lon)``, equally spaced longitudes around the globe.
        latitudes: ``(lat,)``, ascending, degrees.
    """
    lat = np.radians(latitudes)
    cosine = np.cos(lat)[:, None]
    along = (np.roll(v, -1, axis=-1) - np.roll(v, 1, axis=-1)) / (4 * np.pi / v.shape[-1])
    return (along - np.gradient(u * cosine, lat, axis=-2, edge_order=2)) / (_RADIUS * cosine)


def potential_vorticity(
    temperature: np.ndarray,
    u: np.ndarray,
    v: np.ndarray,
    sigma: np.ndarray,
    surface_pressure: np.ndarray,
    latitudes: np.ndarray,
) -> np.ndarray:
    """``-g (f + vorticity) d(theta)/dp``, K m2 kg-1 s-1: without the horizontal gradients of theta, which are small.

    Args:
        temperature, u, v: K and m/s, ``(T, L, lat, lon)`` on ``sigma``, monotonic.
        surface_pressure: ``(T, lat, lon)``, hPa.
    """
    pressure = 100 * surface_pressure[:, None]  # Pa
    theta = temperature * (1e5 / (sigma[:, None, None] * pressure)) ** _KAPPA
    slope = np.gradient(theta, sigma, axis=1) / pressure
    spin = 2 * _ROTATION * np.sin(np.radians(latitudes))[:, None]
    return -_GRAVITY * (spin + vorticity(u, v, latitudes)) * slope


# name -> (jcm's variable, factor to WeatherBench's unit); pv and vo are derived
_SOURCES = {
    "t2m": ("surface_flux.t0", 1.0),
    "u10": ("surface_flux.u0", 1.0),
    "v10": ("surface_flux.v0", 1.0),
    "tcc": ("shortwave_rad.cloudc", 1.0),
    "r": ("humidity.rh", 100.0),
    "t": ("temperature", 1.0),
    "u": ("u_wind", 1.0),
    "v": ("v_wind", 1.0),
    "z": ("geopotential", 1.0),
    "q": ("specific_humidity", 1.0),
    "tisr": ("shortwave_rad.fsol", 3600.0),  # the flux at the time, for an hour
    "tp": ("surface_exchange.precipitation", 3.6),
}
_VARIABLES = {*_SOURCES, "pv", "vo"}
_MOST_HUMID = 150.0  # %: aloft, where air holds next to nothing, the model's relative humidity reaches thousands
_VECTORS = {"u10", "v10", "u", "v"}


def generate(
    folder: Path,
    variables: Sequence[str],
    *,
    months: int,
    start_year: int = 2001,
    hours: int = 6,
    levels: Sequence[float] = (150, 500, 850, 1000),
    seed: int = 0,
    spin_up_days: int = 90,
    precision: float | None = None,
    command: str = "",
    progress: bool = True,
) -> list[Path]:
    """Runs the model and writes ``<folder>/<variable folder>/<variable folder>_<year>_5.625deg.nc`` for each variable.

    Args:
        folder: the ``weather`` folder of a data root; ``.gcm`` inside it keeps the run's state.
        variables: of t2m (K), u10, v10 (m/s), tcc (0-1), tisr (J m-2), tp (m), the last two by the hour; and on levels
            r (%), t (K), u, v (m/s), z (m2 s-2), q (kg/kg), vo (1/s), pv (K m2 kg-1 s-1).
        months: length of the series, from January of ``start_year`` on.
        hours: interval between the fields.
        levels: pressure levels (hPa) of the variables that have levels.
        seed: of the perturbation of the initial state.
        spin_up_days: days before the first field, thrown away.
        precision: step of the stored 16-bit numbers, in the variable's unit (default: as fine as ``VARIABLES`` says).
        command: kept in the files' attributes.
        progress: show a progress bar.

    Returns:
        The files' paths.

    Raises:
        ModuleNotFoundError: ``jcm`` is not installed.
        ValueError: an unknown variable; an interval that does not divide a day; a folder that holds another run.
        FloatingPointError: the model's fields are not finite.
    """
    unknown = sorted(set(variables) - _VARIABLES)
    if unknown or not variables:
        raise ValueError(f"unknown variables {unknown}; the model gives {sorted(_VARIABLES)}.")
    if hours < 1 or 24 % hours:
        raise ValueError(f"the interval between fields must divide 24 hours, got {hours}.")
    if months < 1:
        raise ValueError(f"the series must have a month or more, got {months}.")
    folder = Path(folder)
    work = folder / ".gcm"
    settings = {
        "variables": sorted(variables),
        "start_year": start_year,
        "hours": hours,
        "levels": [float(p) for p in levels],
        "seed": seed,
        "spin_up_days": spin_up_days,
    }
    files = _files(folder, variables, np.datetime64(f"{start_year}", "M"), months)
    _claim(work, settings, files)
    if _unwritten(work, files)[1]:
        run = _Run(work, settings)
        attributes = run.provenance() | {"command": command}
        days = (files[-1].end - files[0].begin).astype("timedelta64[D]").astype(int)
        total = -(-days // PIECE_DAYS) + run.spin_up_pieces
        from tqdm import tqdm

        with tqdm(
            total=total,
            initial=min(run.done, total),
            unit="piece",
            desc=f"model, {PIECE_DAYS} days a piece",
            disable=not progress,
        ) as bar:
            _write_finished(work, files, attributes, hours, precision)
            while run.done < total:
                run.advance()
                _write_finished(work, files, attributes, hours, precision)
                bar.update()
    return [file.path for file in files]


@dataclass(frozen=True)
class _File:
    """One file to write: ``variable`` from ``begin`` to ``end``, which is excluded."""

    path: Path
    variable: str
    begin: np.datetime64
    end: np.datetime64


def _files(folder, variables, first, months):
    """A file for each variable and calendar year, the last year as far as it goes."""
    stop = (first + months).astype("datetime64[h]")
    files = []
    for year in range(first.astype(object).year, (first + months - 1).astype(object).year + 1):
        begin, end = np.datetime64(f"{year}", "h"), min(np.datetime64(f"{year + 1}", "h"), stop)
        for name in variables:
            kind = VARIABLES[name].folder
            files.append(_File(folder / kind / f"{kind}_{year}_5.625deg.nc", name, begin, end))
    return files


class _Run:
    """The model with its state on disk: ``done`` pieces are finished, spin-up included."""

    def __init__(self, work, settings):
        try:
            import jcm
            from jcm import checkpoint
            from jcm.data.bc.interpolate import interpolate
            from jcm.forcing import ForcingData
            from jcm.physics.speedy.speedy_coords import get_speedy_coords
            from jcm.terrain import TerrainData
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"the general circulation model needs {error.name}, which is not installed: "
                'pip install "openstl_svq[gcm]" (Python 3.11 or newer), or take --source synthetic.'
            ) from error
        self.work, self.settings, self.version, self._checkpoint = work, settings, jcm.__version__, checkpoint
        self.spin_up_pieces = -(-settings["spin_up_days"] // PIECE_DAYS)
        coords = get_speedy_coords(layers=_LAYERS, spectral_truncation=_TRUNCATION)
        with (
            tempfile.TemporaryDirectory() as boundary,
            contextlib.redirect_stdout(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", FutureWarning)  # of xarray, about jcm's calls
            interpolate(coords.horizontal, boundary)
            terrain = TerrainData.from_file(f"{boundary}/terrain_t{_TRUNCATION}.nc", coords)
            self.forcing = ForcingData.from_file(
                f"{boundary}/forcing_t{_TRUNCATION}.nc", coords=coords, align_mode="wrap_year"
            )
        # A piece's first field is one interval after its start; so the first of all lies at 1 January 00:00.
        clock = (
            np.datetime64(f"{settings['start_year']}", "h")
            - np.timedelta64(settings["hours"], "h")
            - np.timedelta64(24 * PIECE_DAYS * self.spin_up_pieces, "h")
        )
        self.model = jcm.Model(coords=coords, terrain=terrain, time_step=_TIME_STEP, start_time=str(clock))
        self.model.bootstrap_state(self.model.initial_state(random_seed=settings["seed"]))
        self.state = work / "state.msgpack"
        elapsed = checkpoint.load_checkpoint(self.model, self.state) if self.state.exists() else 0.0
        self.done = round(elapsed / PIECE_DAYS)

    def advance(self):
        """One more piece: its fields first, then the state, so that a state never outruns its fields."""
        predictions = self.model.resume(
            forcing=self.forcing, save_interval=f"{self.settings['hours']} hours", total_time=PIECE_DAYS
        )
        if self.done >= self.spin_up_pieces:
            fields = self._fields(predictions.to_xarray())
            path = self.work / f"piece_{fields['time'][0]}_{fields['time'][-1]}.npz"
            with replacing(path) as partial:
                np.savez(partial, **fields)
        self._checkpoint.save_checkpoint(self.model, self.state)
        self.done += 1

    def _fields(self, data) -> dict:
        """The piece on WeatherBench's grid: ``time``, and per variable (T, H, W) or (T, L, H, W)."""
        fields = {"time": data["time"].values.astype("datetime64[s]").astype("datetime64[h]")}
        latitudes = data["lat"].values
        pressure = np.swapaxes(data["normalized_surface_pressure"].values, -1, -2) * _SURFACE_PRESSURE  # (T, lat, lon)

        def given(name):  # (T, [L,] lat, lon)
            source, factor = _SOURCES[name]
            return factor * np.swapaxes(data[source].values, -1, -2)

        for name in self.settings["variables"]:
            if name == "vo":
                values = vorticity(given("u"), given("v"), latitudes)
            elif name == "pv":
                sigma = data["level"].values
                values = potential_vorticity(given("t"), given("u"), given("v"), sigma, pressure, latitudes)
            else:
                values = given(name)
            if name == "r":
                values = np.minimum(values, _MOST_HUMID)
            if not np.isfinite(values).all():
                raise FloatingPointError(
                    f"the model gave values of {name} that are not finite near {fields['time'][0]}: take another --seed."
                )
            if VARIABLES[name].levels:
                values = to_pressure(values, data["level"].values, pressure, self.settings["levels"])
            fields[name] = to_latitudes(values, latitudes, vector=name in _VECTORS).astype(np.float32)
        return fields | {"levels": np.asarray(self.settings["levels"])}

    def provenance(self) -> dict:
        return {
            "source": f"jcm {self.version}, a general circulation model with SPEEDY physics: a model's weather, "
            "not observations and not a reanalysis",
            "resolution": f"T{_TRUNCATION}, {_LAYERS} sigma levels, {_TIME_STEP:g}-minute steps; latitudes "
            "interpolated linearly from the Gaussian grid to WeatherBench's",
            "forcing": "SPEEDY's monthly climatology of sea surface temperature, sea ice, soil and snow as packaged "
            "with jcm, repeated every year; no diurnal cycle",
            "spin_up": f"{self.spin_up_pieces * PIECE_DAYS} days from a perturbed isothermal rest state",
            "seed": self.settings["seed"],
            "license": "made with jcm (Apache-2.0)",
        }


def to_latitudes(values: np.ndarray, latitudes: np.ndarray, *, vector: bool = False) -> np.ndarray:
    """Linear interpolation along latitude to WeatherBench's 32 latitudes.

    Args:
        values: ``(..., lat, lon)``, an even number of equally spaced longitudes from 0.
        latitudes: ``(lat,)``, ascending, degrees.
        vector: a wind component, which changes its sign across a pole.

    Returns:
        ``(..., 32, lon)``.
    """
    # Beyond a pole lies the row on the other side of it, half way round.
    beyond = np.roll(values[..., [0, -1], :], values.shape[-1] // 2, axis=-1) * (-1 if vector else 1)
    values = np.concatenate([beyond[..., :1, :], values, beyond[..., 1:, :]], axis=-2)
    latitudes = np.concatenate([[-180 - latitudes[0]], latitudes, [180 - latitudes[-1]]])
    target, _ = WEATHERBENCH_GRID
    below = np.searchsorted(latitudes, target, side="right") - 1
    weight = ((target - latitudes[below]) / (latitudes[below + 1] - latitudes[below]))[:, None]
    return (1 - weight) * values[..., below, :] + weight * values[..., below + 1, :]


def to_pressure(
    values: np.ndarray, sigma: np.ndarray, surface_pressure: np.ndarray, levels: Sequence[float]
) -> np.ndarray:
    """Interpolation from sigma levels to pressure levels, linear in log p; below the lowest level its value.

    Args:
        values: ``(T, L, H, W)`` on ``sigma``.
        sigma: ``(L,)``, any order.
        surface_pressure: ``(T, H, W)``, hPa.
        levels: pressures, hPa.

    Returns:
        ``(T, len(levels), H, W)``.
    """
    order = np.argsort(sigma)
    sigma, values = np.log(sigma[order]), values[:, order]
    out = []
    for level in levels:
        wanted = np.clip(np.log(level / surface_pressure), sigma[0], sigma[-1])  # (T, H, W)
        below = np.clip(np.searchsorted(sigma, wanted, side="right") - 1, 0, len(sigma) - 2)
        weight = (wanted - sigma[below]) / (sigma[below + 1] - sigma[below])
        low, high = (np.take_along_axis(values, k[:, None], axis=1)[:, 0] for k in (below, below + 1))
        out.append((1 - weight) * low + weight * high)
    return np.stack(out, axis=1)


def _claim(work, settings, files):
    """Marks the folder as this run's; refuses one with other settings or with files of other origin."""
    mark = work / "settings.json"
    if mark.exists():
        found = json.loads(mark.read_text())
        if found != settings:
            differ = {k: (found.get(k), v) for k, v in settings.items() if found.get(k) != v}
            raise ValueError(
                f"{work} holds a run with other settings (there, here): {differ}. "
                "Give the same settings to continue it, choose another --out, or delete that folder."
            )
        return
    foreign = [str(file.path) for file in files if file.path.exists()]
    if foreign:
        raise ValueError(
            f"{foreign[0]} exists and is not of a run that can be continued: choose another --out, or move it."
        )
    work.mkdir(parents=True, exist_ok=True)
    write_text(mark, json.dumps(settings))


def _unwritten(work, files):
    """The files still to write; a year that once ended earlier is to write again."""
    record = work / "written.json"
    written = json.loads(record.read_text()) if record.exists() else {}
    return written, [file for file in files if not file.path.exists() or written.get(file.path.name) != str(file.end)]


def _write_finished(work, files, attributes, hours, precision):
    """Writes the files whose pieces are all there, and drops the pieces that no later file needs."""
    spans = {
        path: tuple(np.datetime64(time, "h") for time in path.stem.split("_")[1:])
        for path in sorted(work.glob("piece_*.npz"))
    }
    if not spans:
        return
    covered = max(last for _, last in spans.values()) + np.timedelta64(hours, "h")
    written, missing = _unwritten(work, files)
    for file in missing:
        if file.end > covered:
            continue
        times, values, levels = [], [], None
        for path, (first, last) in spans.items():
            if first < file.end and last >= file.begin:
                with np.load(path) as piece:
                    inside = (piece["time"] >= file.begin) & (piece["time"] < file.end)
                    times.append(piece["time"][inside])
                    values.append(piece[file.variable][inside])
                    levels = piece["levels"] if VARIABLES[file.variable].levels else None
        write_file(
            file.path,
            file.variable,
            np.concatenate(times),
            np.concatenate(values),
            levels=levels,
            attributes=attributes,
            precision=precision,
        )
        written[file.path.name] = str(file.end)
        write_text(work / "written.json", json.dumps(written))
    # Pieces of a year that ends early are kept: it may be continued later.
    for path, (_, last) in spans.items():
        if last < covered.astype("datetime64[Y]"):
            path.unlink()
