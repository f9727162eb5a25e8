"""Small seeded datasets from numpy alone, in the formats that the loaders read: for tests and for trying things out.

They move in a way that can be learnt, and mean nothing.
"""

import zlib
from pathlib import Path

import numpy as np

from .netcdf import VARIABLES, WEATHERBENCH_GRID, write_file

# mean, gradient from equator to pole, amplitude of the seasons, amplitude of the waves, lowest and highest value
_CLIMATE = {
    "t2m": (288, -40, 10, 6, -np.inf, np.inf),
    "u10": (0, 0, 1, 6, -np.inf, np.inf),
    "v10": (0, 0, 1, 5, -np.inf, np.inf),
    "tcc": (0.5, 0.1, 0.1, 0.4, 0, 1),
    "r": (60, 10, 5, 30, 0, 100),
    "t": (260, -30, 8, 6, -np.inf, np.inf),
    "u": (10, 5, 3, 12, -np.inf, np.inf),
    "v": (0, 0, 1, 9, -np.inf, np.inf),
}


def weather(folder, variables, spans, *, hours=1, levels=(150, 500, 850, 1000), seed=0, command="") -> list[Path]:
    """Waves that travel eastwards over a zonal climate with seasons, in WeatherBench's layout.

    Args:
        folder: the ``weather`` folder of a data root.
        variables: of ``VARIABLES``.
        spans: ``{year: number of days from 1 January on}``.
        hours: interval between the fields.
        levels: of the variables that have levels, hPa.
        seed: of the waves.

    Returns:
        The files' paths.
    """
    attributes = {"source": "synthetic: travelling waves, not weather", "seed": seed, "command": command}
    paths = []
    for name in variables:
        for year, days in spans.items():
            start = np.datetime64(f"{year}", "h")
            times = start + np.arange(0, 24 * days, hours).astype("timedelta64[h]")
            values = np.stack([_waves(name, level, times, seed)
                               for level in (levels if VARIABLES[name].levels else [None])], axis=1)  # (T, L, H, W)
            kind = VARIABLES[name].folder
            paths.append(Path(folder) / kind / f"{kind}_{year}_5.625deg.nc")
            on = {"levels": levels} if VARIABLES[name].levels else {}
            write_file(paths[-1], name, times, values if on else values[:, 0], attributes=attributes,
                       precision=10 * VARIABLES[name].packing[0], **on)
    return paths


def _waves(name, level, times, seed) -> np.ndarray:
    """One variable on one level: ``(T, H, W)``."""
    rng = np.random.default_rng([seed, zlib.crc32(f"{name}{level}".encode())])
    mean, gradient, season, amplitude, low, high = _CLIMATE[name]
    lat, lon = np.radians(WEATHERBENCH_GRID[0]), np.radians(WEATHERBENCH_GRID[1])
    hour = (times - np.datetime64("1979", "h")).astype(np.float64)[:, None]
    zonal = mean + gradient * np.sin(lat) ** 2 - season * np.sin(lat) * np.cos(2 * np.pi * hour / 8766)  # (T, H)
    field = np.repeat(zonal[:, :, None], len(lon), axis=2)
    for number in range(1, 7):
        shape = np.exp(-((np.abs(lat) - rng.uniform(0.3, 1.1)) / 0.4) ** 2) * np.sign(rng.uniform(-1, 1, lat.shape))
        shape = np.convolve(shape, np.ones(5) / 5, mode="same")
        angle = number * lon[None] - 2 * np.pi * hour / rng.uniform(60, 200) + rng.uniform(0, 2 * np.pi)  # (T, W)
        field += amplitude * rng.uniform(0.5, 1) * shape[None, :, None] * np.cos(angle)[:, None, :]
    field += 0.01 * amplitude * rng.standard_normal(field.shape)
    return np.clip(field, low, high)
