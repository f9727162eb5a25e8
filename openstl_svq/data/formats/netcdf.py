"""WeatherBench's NetCDF layout: which variable lies where, and how a file of it is written."""

from dataclasses import dataclass

import numpy as np

from ...files import replacing


@dataclass(frozen=True)
class Variable:
    """One variable of WeatherBench.

    ``folder`` also begins the files' names. ``packing`` is (scale, offset) of 16-bit storage: finer than the variable
    is known, wide enough for any weather; ``None`` for float32, where one scale cannot do for all levels.
    """

    folder: str
    long_name: str
    units: str
    levels: bool
    packing: tuple[float, float] | None


VARIABLES = {
    "t2m": Variable("2m_temperature", "near-surface air temperature", "K", False, (0.01, 273.15)),
    "u10": Variable("10m_u_component_of_wind", "near-surface eastward wind", "m s**-1", False, (0.005, 0.0)),
    "v10": Variable("10m_v_component_of_wind", "near-surface northward wind", "m s**-1", False, (0.005, 0.0)),
    "tcc": Variable("total_cloud_cover", "total cloud cover", "(0 - 1)", False, (0.0001, 0.5)),
    "r": Variable("relative_humidity", "relative humidity", "%", True, (0.01, 100.0)),
    "t": Variable("temperature", "temperature", "K", True, (0.01, 273.15)),
    "u": Variable("u_component_of_wind", "eastward wind", "m s**-1", True, (0.01, 0.0)),
    "v": Variable("v_component_of_wind", "northward wind", "m s**-1", True, (0.01, 0.0)),
    "z": Variable("geopotential", "geopotential", "m**2 s**-2", True, (5.0, 120_000.0)),
    "pv": Variable("potential_vorticity", "potential vorticity", "K m**2 kg**-1 s**-1", True, None),
    "q": Variable("specific_humidity", "specific humidity", "kg kg**-1", True, None),
    "vo": Variable("vorticity", "relative vorticity", "s**-1", True, (1e-7, 0.0)),
    # both of the hour that ends at the time
    "tisr": Variable("toa_incident_solar_radiation", "incident solar radiation", "J m**-2", False, (100.0, 2.5e6)),
    "tp": Variable("total_precipitation", "total precipitation", "m", False, (1e-6, 0.03)),
}

# 5.625 degrees: (32 latitudes, 64 longitudes)
WEATHERBENCH_GRID = (np.linspace(-87.1875, 87.1875, 32), 5.625 * np.arange(64))


def write_file(path, name, times, values, *, levels=None, attributes=None, precision=None, grid=WEATHERBENCH_GRID):
    """Writes one file of ``name``, compressed, in one go or not at all.

    Args:
        path: the file; its folder is made.
        name: of ``VARIABLES``.
        times: datetime64 ``(T,)``.
        values: ``(T, H, W)``, or ``(T, L, H, W)`` with ``levels`` (hPa), in the variable's unit.
        attributes: global attributes, for provenance.
        precision: step of the stored 16-bit numbers, in the variable's unit (default: that of ``VARIABLES``); of no
            matter to variables that are stored as float32.
        grid: latitudes and longitudes, degrees.

    Raises:
        ValueError: values that are not finite, or beyond what 16 bits hold.
    """
    import netCDF4
    import xarray as xr

    variable = VARIABLES[name]
    if variable.packing is None:
        if not np.isfinite(values).all():
            raise ValueError(f"{name}: {(~np.isfinite(values)).sum()} of {values.size} values are not finite.")
        storage = {"dtype": "float32"}
    else:
        step, offset = precision or variable.packing[0], variable.packing[1]
        if not np.abs(values - offset).max() / step < 32767:
            raise ValueError(
                f"{name}: values from {np.min(values):g} to {np.max(values):g} {variable.units} do not fit in "
                f"16 bits at a step of {step:g}: give a coarser precision."
            )
        storage = {"dtype": "int16", "scale_factor": step, "add_offset": offset, "_FillValue": -32768}
    coords = {"time": times.astype("datetime64[ns]")}
    if levels is not None:
        coords["level"] = ("level", np.asarray(levels, dtype=np.int32), {"units": "hPa", "long_name": "pressure"})
    coords["lat"] = ("lat", grid[0], {"units": "degrees_north", "standard_name": "latitude"})
    coords["lon"] = ("lon", grid[1], {"units": "degrees_east", "standard_name": "longitude"})
    data = xr.Dataset(
        {name: (tuple(coords), values, {"units": variable.units, "long_name": variable.long_name})},
        coords=coords,
        attrs={"Conventions": "CF-1.8", **(attributes or {})},
    )
    compression = {"zlib": True, "complevel": 9, "shuffle": True}
    if netCDF4.__has_szip_support__:  # stores the differences along time, which are small: two thirds the size
        compression = {"compression": "szip", "szip_coding": "nn", "szip_pixels_per_block": 12}
    steps = min(len(times), 1464)
    across = min(values.shape[-1], -(-256 // steps))  # a short series is stored in wider pieces
    encoding = {**storage, **compression, "chunksizes": (steps, *(1,) * (values.ndim - 2), across)}
    with replacing(path) as partial:
        data.to_netcdf(
            partial,
            format="NETCDF4",
            engine="netcdf4",
            encoding={name: encoding, "time": {"units": "hours since 1900-01-01", "dtype": "int32"}},
        )
