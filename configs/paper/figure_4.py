# Figure 4: validation by epoch. SVQ's loss is the MAE, the other's the MSE.
title = "Prediction error while training"
metrics = ["mse", "mae"]
figures = ["curves"]
groups = {"WeatherBench-S temperature": {"dataset": "weather_t2m_5_625", "configs": "weather/t2m_5_625"}}
rows = {"Grouped Residual VQ": "quantizers/SimVP_GroupedResidualVQ_gSTA", "SVQ": "SimVP_SVQ_gSTA"}
