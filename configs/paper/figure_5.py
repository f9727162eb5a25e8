# Figure 5: distributions of regression weights and codebook.
title = "Distribution of regression weights and codebook"
metrics = ["mse", "mae", "kurtosis"]
figures = ["weights"]
groups = {"WeatherBench-S temperature": {"dataset": "weather_t2m_5_625", "configs": "weather/t2m_5_625"}}
rows = {
    "Learnable, MAE loss": "SimVP_SVQ_gSTA",
    "Learnable, MSE loss": "loss/SimVP_SVQ_gSTA_mse",
    "Frozen, MAE loss": "SimVP_SVQ_gSTA_frozen",
}
