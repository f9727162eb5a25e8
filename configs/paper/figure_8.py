# Figure 8: the runs of Table 13 while they train.
title = "Prediction error and codebook usage while training"
metrics = ["mse", "perplexity"]
figures = ["curves"]
groups = {"WeatherBench-S temperature": {"dataset": "weather_t2m_5_625", "configs": "weather/t2m_5_625"}}
rows = {
    "VQ": "quantizers_1024/SimVP_VQ_gSTA",
    "Residual VQ": "quantizers_1024/SimVP_ResidualVQ_gSTA",
    "Residual VQ (Stochastic)": "quantizers_1024/SimVP_ResidualVQStochastic_gSTA",
    "Grouped Residual VQ": "quantizers_1024/SimVP_GroupedResidualVQ_gSTA",
    "Multi-headed VQ": "quantizers_1024/SimVP_MultiHeadedVQ_gSTA",
    "SVQ (freeze)": "quantizers_1024/SimVP_SVQ_gSTA_frozen",
    "SVQ (Learnable)": "quantizers_1024/SimVP_SVQ_gSTA",
}
