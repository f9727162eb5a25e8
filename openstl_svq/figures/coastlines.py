"""Coastlines for maps, from the small package landcheck (Natural Earth's land, offline), where it is installed."""

import importlib.util
from functools import lru_cache

import numpy as np
from contourpy import contour_generator

_POINTS = 180  # along the longer side of a map; each is looked up by itself


def coastlines(west: float, east: float, south: float, north: float) -> tuple[np.ndarray, ...]:
    """Lines ``(points, 2)`` of longitude and latitude in degrees; none where landcheck is not installed."""
    return _lines(*(round(float(v), 3) for v in (west, east, max(south, -90), min(north, 90))))


@lru_cache(maxsize=8)
def _lines(west: float, east: float, south: float, north: float) -> tuple[np.ndarray, ...]:
    if importlib.util.find_spec("landcheck") is None or not (west < east and south < north):
        return ()
    from landcheck import LandCheck

    step = max(east - west, north - south) / _POINTS
    lon, lat = (np.linspace(a, b, max(2, round((b - a) / step) + 1)) for a, b in ((west, east), (south, north)))
    is_land = LandCheck().is_land
    land = np.array([[is_land((x + 180) % 360 - 180, y) for x in lon] for y in lat], dtype=float)
    return tuple(contour_generator(lon, lat, land).lines(0.5))
