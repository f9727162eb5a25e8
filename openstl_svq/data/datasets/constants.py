"""OpenSTL's entry for each dataset that this host loads: shapes, splits and metrics.

``idx_in``, ``idx_out`` (steps before and after the anchor) and ``step`` (every so many hours) are OpenSTL's. Its index
lists apply the factor 6 of the six-hourly sets a second time; the protocol ``strict`` does not read them.
"""

from ..sample import SAMPLE_DATASETS


def _entry(in_shape, aft_seq_length, metrics, **more):
    return {
        "in_shape": in_shape,
        "pre_seq_length": in_shape[0],
        "aft_seq_length": aft_seq_length,
        "total_length": in_shape[0] + aft_seq_length,
        **more,
        "metrics": metrics,
    }


def _weather(data_name, channels, size=(32, 64), **more):
    times = {"train_time": ["2010", "2015"], "val_time": ["2016", "2016"], "test_time": ["2017", "2018"]}
    return _entry([12, channels, *size], 12, ["mse", "rmse", "mae"], data_name=data_name, **times, **more)


def _weather_multi(steps):
    return {
        **_entry([4, 12, 32, 64], steps, ["mse", "rmse", "mae"], data_name="mv"),
        "train_time": ["1979", "2015"],
        "val_time": ["2016", "2016"],
        "test_time": ["2017", "2018"],
        "idx_in": [-17, -11, -5, 0],
        "idx_out": [6 * i + 1 for i in range(steps)],
        "step": 6,
        "level": [150, 500, 850],
    }


_VIDEO = ["mse", "mae", "ssim", "psnr", "lpips"]

dataset_parameters = {
    "weather": _weather("t2m", 1),
    **{
        f"weather_{name}_{resolution}": _weather(name, channels, size)
        for resolution, size in (("5_625", (32, 64)), ("1_40625", (128, 256)))
        for name, channels in (("t2m", 1), ("r", 1), ("uv10", 2), ("tcc", 1))
    },
    "weather_mv_4_4_s6_5_625": _weather_multi(4),
    "weather_mv_4_28_s6_5_625": _weather_multi(28),
    "taxibj": _entry([4, 2, 32, 32], 4, ["mse", "mae", "ssim", "psnr"]),
    "kth": _entry([10, 1, 128, 128], 20, _VIDEO),
    "kth20": _entry([10, 1, 128, 128], 20, _VIDEO),
    "kth40": _entry([10, 1, 128, 128], 40, _VIDEO),
    "kitticaltech": _entry([10, 3, 128, 160], 1, _VIDEO),
    "human": _entry([4, 3, 256, 256], 4, _VIDEO),
    "custom": _entry(
        [10, 1, 64, 64],
        10,
        ["mse", "rmse", "mae"],
        data_name=None,
        split=[0.7, 0.1, 0.2],
        train_time=None,
        val_time=None,
        test_time=None,
        normalise=None,
        crop=None,
    ),
    **SAMPLE_DATASETS,
}

# Windows for training and for test that OpenSTL makes of the full dataset with the splits and lengths above: the sizes
# of the paper's Table 9, which for hourly weather prints those of daily sampling (2,167 and 706).
FULL_SIZES = {
    **{
        name: (52_559, 17_495)
        for name in dataset_parameters
        if name.startswith("weather") and "_mv_" not in name and name not in SAMPLE_DATASETS
    },
    "weather_mv_4_4_s6_5_625": (54_019, 2_883),
    "weather_mv_4_28_s6_5_625": (53_875, 2_739),
    "taxibj": (20_461, 500),
    "kth": (4_940, 3_030),
    "kth20": (4_940, 3_030),
    "kitticaltech": (3_160, 3_095),
    "human": (73_404, 8_582),
}
