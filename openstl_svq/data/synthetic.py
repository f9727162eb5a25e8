"""Small seeded datasets from numpy alone, in the formats that the loaders read: for tests and for trying things out.

They move in a way that can be learnt, and mean nothing.
"""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .formats.weatherbench import VARIABLES, WEATHERBENCH_GRID, write_file

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
    "z": (80_000, -4_000, 1_000, 1_500, -np.inf, np.inf),
    "pv": (2e-6, 2e-6, 5e-7, 1e-6, -np.inf, np.inf),
    "q": (6e-3, -4e-3, 1e-3, 2e-3, 0, np.inf),
    "vo": (0, 0, 5e-6, 3e-5, -np.inf, np.inf),
    "tisr": (1.5e6, -1.2e6, 6e5, 3e5, 0, np.inf),
    "tp": (1e-4, 0, 2e-5, 4e-4, 0, np.inf),
}


def weather(
    folder: Path,
    variables: Sequence[str],
    spans: Mapping[int, int],
    *,
    hours: int = 1,
    levels: Sequence[float] = (150, 500, 850, 1000),
    seed: int = 0,
    command: str = "",
) -> list[Path]:
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
            values = np.stack(
                [_waves(name, level, times, seed) for level in (levels if VARIABLES[name].levels else [None])], axis=1
            )  # (T, L, H, W)
            kind = VARIABLES[name].folder
            paths.append(Path(folder) / kind / f"{kind}_{year}_5.625deg.nc")
            packing = VARIABLES[name].packing
            write_file(
                paths[-1],
                name,
                times,
                values if VARIABLES[name].levels else values[:, 0],
                levels=levels if VARIABLES[name].levels else None,
                attributes=attributes,
                precision=packing and 10 * packing[0],
            )
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
        shape = np.exp(-(((np.abs(lat) - rng.uniform(0.3, 1.1)) / 0.4) ** 2)) * np.sign(rng.uniform(-1, 1, lat.shape))
        shape = np.convolve(shape, np.ones(5) / 5, mode="same")
        angle = number * lon[None] - 2 * np.pi * hour / rng.uniform(60, 200) + rng.uniform(0, 2 * np.pi)  # (T, W)
        field += amplitude * rng.uniform(0.5, 1) * shape[None, :, None] * np.cos(angle)[:, None, :]
    field += 0.01 * amplitude * rng.standard_normal(field.shape)
    return np.clip(field, low, high)


def taxibj(
    root: Path, *, windows: tuple[int, int] = (60, 12), steps: tuple[int, int] = (4, 4), seed: int = 0
) -> list[Path]:
    """``taxibj/dataset.npz``: patterns on 32 x 32 cells that swell twice a day, in [-1, 1].

    Args:
        windows: number of windows for training and for test.
        steps: frames in and out.
    """
    rng = np.random.default_rng(seed)
    length = sum(steps)
    total = sum(windows) + 2 * length
    place = rng.uniform(0, 1, (2, 32, 32)) ** 3
    hour = np.arange(total)[:, None, None, None] / 2
    series = place * (1 + np.sin(2 * np.pi * (hour + rng.uniform(0, 4, (2, 32, 32))) / 12)) - 1
    series = np.clip(series + 0.01 * rng.standard_normal(series.shape), -1, 1).astype(np.float32)
    at = np.arange(windows[0]), windows[0] + length + np.arange(windows[1])
    (x_train, y_train), (x_test, y_test) = (
        np.split(series[first[:, None] + np.arange(length)], [steps[0]], axis=1) for first in at
    )
    path = Path(root) / "taxibj" / "dataset.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, X_train=x_train, Y_train=y_train, X_test=x_test, Y_test=y_test)
    return [path]


def kth(root: Path, *, frames: int = 64, people: Sequence[int] = (1, 2, 15, 16, 17, 18), seed: int = 0) -> list[Path]:
    """``kth/<action>/person<NN>_<action>_d1_uncomp/image-<NNNN>.jpg``: a bright figure that moves over grey ground."""
    speed = {"boxing": 0, "handclapping": 0, "handwaving": 0, "jogging": 2, "running": 4, "walking": 1}
    paths = []
    for number, action in enumerate(speed):
        for person in people:
            rng = np.random.default_rng([seed, number, person])
            folder = Path(root) / "kth" / action / f"person{person:02d}_{action}_d1_uncomp"
            for k in range(frames):
                at = (60 + 5 * np.sin(k / 3 + person), 20 + (10 + speed[action] * k) % 120)
                picture = 90 + 150 * _blob((120, 160), at, (22, 8 + 3 * np.cos(k / 2))) + rng.normal(0, 2, (120, 160))
                paths.append(_jpeg(folder / f"image-{k + 1:04d}.jpg", np.repeat(picture[..., None], 3, axis=2)))
    return paths


def human(
    root: Path, *, videos: tuple[int, int] = (3, 1), windows: int = 6, size: int = 256, seed: int = 0
) -> list[Path]:
    """``human/images/*.jpg`` and the lists of windows: coloured figures, every fifth frame of a video.

    Args:
        videos: number of videos for training and for test.
        windows: number of windows in each video.
    """
    root = Path(root) / "human"
    paths: list[Path] = []
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for video in range(sum(videos)):
        rng = np.random.default_rng([seed, video])
        colour, centre = rng.uniform(60, 255, 3), rng.uniform(0.3, 0.7, 2) * size
        prefix = f"images/S{video + 1}_Walking.1_"
        for k in range(1, 5 * (windows + 7) + 1, 5):
            at = centre + size / 5 * np.array([np.sin(k / 20), np.cos(k / 30)])
            figure = _blob((size, size), at, (size / 6, size / 12))[..., None]
            paths.append(_jpeg(root / f"{prefix}{k:06d}.jpg", 40 + colour * figure))
        lists["train" if video < videos[0] else "test"] += [f"{prefix},{1 + 5 * k}" for k in range(windows)]
    for split, lines in lists.items():
        paths.append(root / f"{split}.txt")
        paths[-1].write_text("\n".join(lines) + "\n")
    return paths


def kitticaltech(
    root: Path, *, videos: tuple[int, int] = (6, 2), frames: int = 24, length: int = 11, seed: int = 0
) -> list[Path]:
    """``kitticaltech_npy``: stripes that flow past as a road does, as bytes."""
    folder = Path(root) / "kitticaltech_npy"
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    y, x = np.mgrid[:128, :160]
    for split, count in zip(("train", "test"), videos):
        images = np.empty((count * frames, 128, 160, 3), dtype=np.uint8)
        for video in range(count):
            rng = np.random.default_rng([seed, video, split == "test"])
            depth = 1 + np.abs(y - 50 - 20 * rng.random())
            for k in range(frames):
                wave = np.sin(400 / depth + 0.5 * k)[..., None] * np.cos((x - 80) / depth)[..., None]
                images[video * frames + k] = 128 + 100 * wave * np.array([1, 0.8, 0.6])
        starts = [video * frames + first for video in range(count) for first in range(0, frames - length + 1, length)]
        for kind, array in (("data", images), ("idx", np.array(starts[::-1], dtype=np.int32))):
            paths.append(folder / f"{split}_{kind}.npy")
            np.save(paths[-1], array)
    return paths


def _blob(size, at, width):
    y, x = np.mgrid[: size[0], : size[1]]
    return np.exp(-(((y - at[0]) / width[0]) ** 2) - ((x - at[1]) / width[1]) ** 2)


def _jpeg(path, image) -> Path:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(path, quality=90)
    return path
