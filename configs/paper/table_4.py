# Table 4: quantizers in the settings of Table 11.
title = "Quantizers"
metrics = ["mse", "mae"]
groups = {"WeatherBench-S temperature": {"dataset": "weather_t2m_5_625", "configs": "weather/t2m_5_625"}}
rows = {
    "SimVP (w/o VQ)": "SimVP_gSTA",
    "VQ": "quantizers/SimVP_VQ_gSTA",
    "Residual VQ": "quantizers/SimVP_ResidualVQ_gSTA",
    "Grouped Residual VQ": "quantizers/SimVP_GroupedResidualVQ_gSTA",
    "Multi-headed VQ": "quantizers/SimVP_MultiHeadedVQ_gSTA",
    "Residual VQ (Stochastic)": "quantizers/SimVP_ResidualVQStochastic_gSTA",
    "Residual FSQ": "quantizers/SimVP_ResidualFSQ_gSTA",
    "LFQ": "quantizers/SimVP_LFQ_gSTA",
    "Residual LFQ": "quantizers/SimVP_ResidualLFQ_gSTA",
    "SVQ-raw": "quantizers/SimVP_SVQraw_gSTA",
    "SVQ": "SimVP_SVQ_gSTA",
    # Not in the paper: SVQ's function without a codebook.
    "MLP (control)": "quantizers/SimVP_MLP_gSTA",
}
baseline = {"row": "SimVP (w/o VQ)"}
