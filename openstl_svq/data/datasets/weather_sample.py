"""The series that ships with the package: a general circulation model's near-surface temperature, every six hours."""

from pathlib import Path

from .. import gcm, synthetic
from ..registry import make_entry
from ..sample import SAMPLE_MONTHS, SAMPLE_PRECISION, sample_root
from .weather import METRICS, register_weather


def make_synthetic(root: Path, *, seed: int = 0, hours: int = 6, command: str = "") -> list[Path]:
    """Waves for the three years of the splits."""
    folder, spans = Path(root) / "weather_sample" / "weather", dict.fromkeys((2001, 2002, 2003), 365)
    return synthetic.weather(folder, ["t2m"], spans, hours=hours, seed=seed, command=command)


def make_gcm(
    root: Path,
    *,
    seed: int = 0,
    hours: int = 6,
    years: float = SAMPLE_MONTHS / 12,
    start_year: int = 2001,
    command: str = "",
) -> list[Path]:
    """The series anew, or a longer one; see :mod:`~openstl_svq.data.gcm`."""
    return gcm.generate(
        Path(root) / "weather_sample" / "weather",
        ["t2m"],
        months=round(12 * years),
        start_year=start_year,
        hours=hours,
        levels=(850, 1000),
        seed=seed,
        precision=SAMPLE_PRECISION,
        command=command,
    )


def _register(name: str, description: str, steps: int, **more) -> None:
    """A year to learn from, with each season once; three months to choose the best weights; another year to score."""
    times = {"train_time": ["2001", "2001"], "val_time": ["2002-01", "2002-03"], "test_time": ["2002-04", "2003-03"]}
    entry = make_entry([steps, 1, 32, 64], steps, METRICS, data_name="t2m", **times, **more)
    register_weather(name, description, entry, makers={"gcm": make_gcm, "synthetic": make_synthetic}, root=sample_root)


_register("weather_sample", "a model's temperature near the ground, ships with the package, 12 -> 12 every 6 h", 12)
# A day of the same series from the day before; its indices are those of OpenSTL's six-hourly sets.
_indices = {"idx_in": [-17, -11, -5, 0], "idx_out": [1, 7, 13, 19]}
_register("weather_sample_4_4_s6", "weather_sample, a day from the day before", 4, **_indices)
