# Table 6: structure of SVQ.
title = "Structure"
metrics = ["mse", "mae"]
groups = {"WeatherBench-S temperature": {"dataset": "weather_t2m_5_625", "configs": "weather/t2m_5_625"}}
rows = {
    "Frozen, 128, 10": "structure/SimVP_SVQ_gSTA_frozen_codes10",
    "Frozen, 128, 1000": "structure/SimVP_SVQ_gSTA_frozen_codes1000",
    "Frozen, 128, 10000": "SimVP_SVQ_gSTA_frozen",
    "Learnable, 128, 10": "structure/SimVP_SVQ_gSTA_codes10",
    "Learnable, 128, 1000": "structure/SimVP_SVQ_gSTA_codes1000",
    "Learnable, 128, 10000": "SimVP_SVQ_gSTA",
    "Learnable, 1280(Bucket-shape), 1280": "structure/SimVP_SVQ_gSTA_bucket",
    "Learnable, None(One-layer), 10000": "structure/SimVP_SVQ_gSTA_one_layer",
    "Learnable, 128(Post-ReLU), 10000": "structure/SimVP_SVQ_gSTA_post_relu",
}
baseline = {"row": "Learnable, 128, 10000"}
