"""What the figures share: sizes of type, axes without clutter, maps, and writing."""

import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..files import replacing

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

    def draw(axis, frame, style):
        mesh = axis.pcolormesh(lon, lat, frame, **style, shading="nearest")
        axis.set_aspect("equal")
        axis.locator_params(nbins=4)
        axis.xaxis.set_major_formatter("{x:g}°")
        axis.yaxis.set_major_formatter("{x:g}°")
        return mesh

    return draw, np.ptp(lat) / np.ptp(lon) if height > 1 and width > 1 else height / width


def save(figure: Figure, path: str | os.PathLike) -> Path:
    """Writes ``figure`` as PNG, complete or not at all."""
    with replacing(path) as partial:
        partial.write_bytes(png(figure))
    return Path(path)


def png(figure: Figure) -> bytes:
    """``figure`` as PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png", bbox_inches="tight", pad_inches=0.05)
    return file.getvalue()
