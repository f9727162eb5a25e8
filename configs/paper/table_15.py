# Table 15: what is frozen.
title = "Frozen modules"
metrics = ["mse", "mae"]
groups = {"WeatherBench-S temperature": {"dataset": "weather_t2m_5_625", "configs": "weather/t2m_5_625"}}
rows = {
    "None (All learnable)": "SimVP_SVQ_gSTA",
    "Codebook": "SimVP_SVQ_gSTA_frozen",
    "Two-layer MLP projection": "freeze/SimVP_SVQ_gSTA_frozen_projection",
    "Both": "freeze/SimVP_SVQ_gSTA_frozen_both",
}
baseline = {"row": "None (All learnable)"}
