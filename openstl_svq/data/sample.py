"""The weather series that ships with the package."""

from pathlib import Path

SAMPLE_MONTHS = 27  # model time from January 2001 on
SAMPLE_PRECISION = 0.125  # K, a step of the stored numbers; what makes 27 months fit in 4 MB

# A year to learn from, with each season once; three months to choose the best weights; another whole year to score.
SAMPLE_DATASETS = {
    "weather_sample": {
        "in_shape": [12, 1, 32, 64],
        "pre_seq_length": 12,
        "aft_seq_length": 12,
        "total_length": 24,
        "data_name": "t2m",
        "train_time": ["2001", "2001"], "val_time": ["2002-01", "2002-03"], "test_time": ["2002-04", "2003-03"],
        "metrics": ["mse", "rmse", "mae"],
    },
}


def sample_root(data_root=None) -> Path:
    """The folder that holds ``weather/2m_temperature`` of ``weather_sample``.

    ``<data_root>/weather_sample`` where somebody has made a longer series (``tools/make_sample_data.py``), else the
    packaged one.
    """
    made = Path(data_root or ".") / "weather_sample"
    return made if (made / "weather").is_dir() else Path(__file__).parent / "weather_sample"
