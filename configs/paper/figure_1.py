# Figure 1: codebooks of 1,024 codes in the plane, by t-SNE.
title = "Codebooks by t-SNE"
metrics = ["mse", "mae"]
figures = ["codebook"]
groups = {"WeatherBench-S temperature": {"dataset": "weather_t2m_5_625", "configs": "weather/t2m_5_625"}}
rows = {
    "VQ": "quantizers_1024/SimVP_VQ_gSTA",
    "SVQ (frozen)": "quantizers_1024/SimVP_SVQ_gSTA_frozen",
    "SVQ (learnable)": "quantizers_1024/SimVP_SVQ_gSTA",
}
