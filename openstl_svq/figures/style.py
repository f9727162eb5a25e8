"""What the figures share: sizes of type, axes without clutter, maps, and writing."""

import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from ..files import replacing
from .coastlines import coastlines

SMALL, TEXT = 7.5, 9
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def unit_text(unit: str | None) -> str:
    """A unit for people: exponents raised, a share as no unit.

    >>> unit_text("m s**-1"), unit_text("W m-2"), unit_text("K^2"), unit_text("(0 - 1)")
    ('m s⁻¹', 'W m⁻²', 'K²', '')
    """
    if unit in (None, "1", "(0 - 1)"):
        return ""
    power = r"(?:\*\*|\^)(-?\d+)|(?<=[A-Za-z])(-\d+)\b"
    return re.sub(power, lambda found: (found[1] or found[2]).translate(_RAISED), str(unit))


def with_unit(name: str, unit: str | None) -> str:
    """``name (unit)``, or the name alone where there is no unit."""
    text = unit_text(unit)
    return f"{name} ({text})" if text else name


def tidy(axis: Axes) -> None:
    """A light grid, small numbers, no frame on the right and above."""
    axis.tick_params(labelsize=SMALL, which="both")
    axis.grid(True, which="major", alpha=0.25, linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)


def painter(lat: np.ndarray | None, lon: np.ndarray | None, height: int, width: int) -> tuple[Callable, float]:
    """A function that draws a frame on an axis, as a map where there are coordinates; and its height over its width."""
    if (lat is None) != (lon is None):
        raise ValueError("a map needs both lat and lon.")
    if lat is None:
        return lambda axis, frame, style: axis.imshow(frame, **style, interpolation="nearest"), height / width
    lat, lon = np.asarray(lat, dtype=np.float64), np.asarray(lon, dtype=np.float64)
    if lat.shape != (height,) or lon.shape != (width,):
        raise ValueError(f"lat {lat.shape} and lon {lon.shape} do not fit frames of {height} x {width}.")
    lon = np.unwrap(lon, period=360)  # a window across the meridian where the numbers jump
    lon -= 360 * (lon.max() > 360)
    west, east, south, north = (*_edges(lon), *_edges(lat))
    lines = coastlines(west, east, south, north)

    def draw(axis, frame, style):
        mesh = axis.pcolormesh(lon, lat, frame, **style, shading="nearest")
        if lines:
            axis.add_collection(LineCollection(lines, colors="black", linewidths=0.5, alpha=0.7), autolim=False)
        axis.set(aspect="equal", xlim=(west, east), ylim=(south, north))
        axis.xaxis.set_major_locator(MultipleLocator(_spacing(east - west)))
        axis.yaxis.set_major_locator(MultipleLocator(_spacing(north - south)))
        axis.xaxis.set_major_formatter(lambda x, _: degrees_east(x))
        axis.yaxis.set_major_formatter(lambda y, _: degrees_north(y))
        return mesh

    return draw, np.ptp(lat) / np.ptp(lon) if height > 1 and width > 1 else height / width


def _edges(centres: np.ndarray) -> tuple[float, float]:
    """Where the first and the last cell end, the smaller first."""
    half = np.diff(centres)[[0, -1]] / 2 if len(centres) > 1 else np.array([0.5, 0.5])
    first, last = float(centres[0] - half[0]), float(centres[-1] + half[1])
    return min(first, last), max(first, last)


def _spacing(extent: float) -> float:
    """Degrees between two ticks, of which there are up to four."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 45, 60, 90)
    return next((step for step in steps if extent / step <= 4.01), 90)


def degrees_east(lon: float) -> str:
    """A longitude.

    >>> degrees_east(30), degrees_east(270), degrees_east(-45), degrees_east(180)
    ('30°E', '90°W', '45°W', '180°')
    """
    lon = (lon + 180) % 360 - 180
    side = "" if lon in (0, -180) else "E" if lon > 0 else "W"
    return f"{abs(lon):g}°{side}"


def degrees_north(lat: float) -> str:
    """A latitude.

    >>> degrees_north(60), degrees_north(-30), degrees_north(0)
    ('60°N', '30°S', '0°')
    """
    return f"{abs(lat):g}°{'N' if lat > 0 else 'S' if lat < 0 else ''}"


_PNG = {"format": "png", "bbox_inches": "tight", "pad_inches": 0.05}


def save(figure: Figure, path: str | os.PathLike) -> Path:
    """Writes ``figure`` as PNG, complete or not at all."""
    with replacing(path) as partial:
        figure.savefig(partial, **_PNG)
    return Path(path)


def png(figure: Figure) -> bytes:
    """``figure`` as PNG."""
    file = io.BytesIO()
    figure.savefig(file, **_PNG)
    return file.getvalue()
