# Table 7: loss and quantizer.
title = "Modules"
metrics = ["mse", "mae"]
groups = {"WeatherBench-S temperature": {"dataset": "weather_t2m_5_625", "configs": "weather/t2m_5_625"}}
rows = {
    "SimVP (MSE loss)": "SimVP_gSTA",
    "SimVP (MAE loss)": "loss/SimVP_gSTA_mae",
    "SimVP+SVQ (Learnable, MSE loss)": "loss/SimVP_SVQ_gSTA_mse",
    "SimVP+SVQ (Learnable, MAE loss)": "SimVP_SVQ_gSTA",
}
baseline = {"row": "SimVP (MSE loss)"}
