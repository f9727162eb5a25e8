"""The weather series that ships with the package."""

from pathlib import Path

SAMPLE_MONTHS = 27  # model time from January 2001 on
SAMPLE_PRECISION = 0.125  # K, a step of the stored numbers; what makes 27 months fit in 4 MB


def sample_root(data_root: str | Path = ".") -> Path:
    """The folder that holds ``weather/2m_temperature`` of the sample.

    ``<data_root>/weather_sample`` where somebody has made a longer series (``tools/make_sample_data.py``), else the
    packaged one.
    """
    made = Path(data_root) / "weather_sample"
    return made if (made / "weather").is_dir() else Path(__file__).parent / "weather_sample"
