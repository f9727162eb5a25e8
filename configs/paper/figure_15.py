# Figure 15: forecasts and their errors, WeatherBench-S temperature.
title = "Forecasting errors, WeatherBench-S temperature"
metrics = ["mse", "mae"]
figures = ["forecast"]
groups = {
    "WeatherBench-S temperature": {"dataset": "weather_t2m_5_625", "configs": "weather/t2m_5_625", "translator": "gSTA"}
}
rows = {"SimVP": "SimVP_{translator}", "SimVP+SVQ": "SimVP_SVQ_{translator}"}
