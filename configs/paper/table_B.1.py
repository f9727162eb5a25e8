# Appendix B.1: the quantizer after the translator. The paper gives curves (Figure 7), no numbers.
title = "Position"
metrics = ["mse", "mae"]
groups = {"WeatherBench-S temperature": {"dataset": "weather_t2m_5_625", "configs": "weather/t2m_5_625"}}
rows = {
    "VQ, after the translator": "position/SimVP_VQ_gSTA_after",
    "SVQ, after the translator": "position/SimVP_SVQ_gSTA_after",
    "SVQ, before the translator": "quantizers_1024/SimVP_SVQ_gSTA",
}
baseline = {"row": "VQ, after the translator"}
