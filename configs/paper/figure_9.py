# Figure 9: density of the latent before and after SVQ.
title = "Distribution of the latent"
metrics = ["mse", "mae"]
figures = ["latent_density"]
groups = {"WeatherBench-S temperature": {"dataset": "weather_t2m_5_625", "configs": "weather/t2m_5_625"}}
rows = {"SVQ": "SimVP_SVQ_gSTA"}
