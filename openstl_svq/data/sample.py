"""The weather series that ships with the package."""

from pathlib import Path

SAMPLE_MONTHS = 27  # model time from January 2001 on
SAMPLE_PRECISION = 0.125  # K, a step of the stored numbers; what makes 27 months fit in 4 MB


def _entry(steps: int, **more) -> dict:
    """A year to learn from, with each season once; three months to choose the best weights; another year to score."""
    return {
        "in_shape": [steps, 1, 32, 64],
        "pre_seq_length": steps,
        "aft_seq_length": steps,
        "total_length": 2 * steps,
        "data_name": "t2m",
        "train_time": ["2001", "2001"],
        "val_time": ["2002-01", "2002-03"],
        "test_time": ["2002-04", "2003-03"],
        "metrics": ["mse", "rmse", "mae"],
        **more,
    }


SAMPLE_DATASETS = {
    "weather_sample": _entry(12),
    # A day of the same series from the day before; its indices are those of OpenSTL's six-hourly sets.
    "weather_sample_4_4_s6": _entry(4, idx_in=[-17, -11, -5, 0], idx_out=[1, 7, 13, 19]),
}


def sample_root(data_root=None) -> Path:
    """The folder that holds ``weather/2m_temperature`` of the sample.

    ``<data_root>/weather_sample`` where somebody has made a longer series (``tools/make_sample_data.py``), else the
    packaged one.
    """
    made = Path(data_root or ".") / "weather_sample"
    return made if (made / "weather").is_dir() else Path(__file__).parent / "weather_sample"
