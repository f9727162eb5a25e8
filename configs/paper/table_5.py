# Table 5: noise in the training input.
title = "Noise"
metrics = ["mse", "mae"]
groups = {"WeatherBench-S temperature": {"dataset": "weather_t2m_5_625", "configs": "weather/t2m_5_625"}}
rows = {
    "0 %": {"w/o SVQ": "SimVP_gSTA", "w SVQ": "SimVP_SVQ_gSTA"},
    "10 %": {"w/o SVQ": "noise/SimVP_gSTA_noise10", "w SVQ": "noise/SimVP_SVQ_gSTA_noise10"},
    "20 %": {"w/o SVQ": "noise/SimVP_gSTA_noise20", "w SVQ": "noise/SimVP_SVQ_gSTA_noise20"},
    "30 %": {"w/o SVQ": "noise/SimVP_gSTA_noise30", "w SVQ": "noise/SimVP_SVQ_gSTA_noise30"},
    "40 %": {"w/o SVQ": "noise/SimVP_gSTA_noise40", "w SVQ": "noise/SimVP_SVQ_gSTA_noise40"},
    "50 %": {"w/o SVQ": "noise/SimVP_gSTA_noise50", "w SVQ": "noise/SimVP_SVQ_gSTA_noise50"},
}
baseline = {"variant": "w/o SVQ"}
