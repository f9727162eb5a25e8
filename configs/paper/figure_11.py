# Figure 11: feature maps before and after SVQ, WeatherBench-S temperature.
title = "Latent feature maps, WeatherBench-S temperature"
metrics = ["mse", "mae"]
figures = ["latent_maps"]
groups = {
    "WeatherBench-S temperature": {"dataset": "weather_t2m_5_625", "configs": "weather/t2m_5_625", "translator": "gSTA"}
}
rows = {"SVQ": "SimVP_SVQ_{translator}"}
