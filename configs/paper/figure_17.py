# Figure 17: forecasts of SimVP+SVQ on every dataset.
title = "Forecasts"
metrics = ["mae"]
figures = ["forecast"]
groups = {
    "TaxiBJ": {"dataset": "taxibj", "configs": "taxibj", "translator": "gSTA"},
    "WeatherBench-S temperature": {
        "dataset": "weather_t2m_5_625",
        "configs": "weather/t2m_5_625",
        "translator": "gSTA",
    },
    "KittiCaltech": {"dataset": "kitticaltech", "configs": "kitticaltech", "translator": "gSTA"},
    "KTH": {"dataset": "kth", "configs": "kth", "translator": "IncepU"},
    "Human3.6M": {"dataset": "human", "configs": "human", "translator": "gSTA"},
}
rows = {"SVQ": "SimVP_SVQ_{translator}"}
