"""WeatherBench-HMV: all of WeatherBench's weather, 110 channels.

It came with the authors' released code after the paper: channels, levels, years and indices are as there. The training
years begin in 1980 since WeatherBench's precipitation and solar radiation lack the first hours of 1979.
"""

from ..formats.weatherbench import VARIABLES
from ..registry import make_entry
from .weather import GROUPS, METRICS, TIMES, register_weather, six_hourly

LEVELS = [50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000]  # hPa

register_weather(
    "weather_hmv_4_4_s6_5_625",
    "WeatherBench: 8 variables on 13 levels and 6 near the ground, 32 x 64, 4 -> 4 every 6 h",
    make_entry(
        [4, sum(len(LEVELS) if VARIABLES[name].levels else 1 for name in GROUPS["hmv"]), 32, 64],
        4,
        METRICS,
        data_name="hmv",
        train_time=["1980", "2015"],
        **TIMES,
        **six_hourly(4),
        level=LEVELS,
    ),
    full_sizes=(52_559, 2_883),
)
