# Table 3: SVQ in twelve translators.
title = "Boosting performance"
metrics = ["mse", "mae"]
groups = {"WeatherBench-S temperature": {"dataset": "weather_t2m_5_625", "configs": "weather/t2m_5_625"}}
rows = {
    "SimVPv1(IncepU)": {"w/o SVQ": "SimVP_IncepU", "w SVQ": "SimVP_SVQ_IncepU"},
    "SimVPv2(gSTA)": {"w/o SVQ": "SimVP_gSTA", "w SVQ": "SimVP_SVQ_gSTA"},
    "ConvMixer": {"w/o SVQ": "SimVP_ConvMixer", "w SVQ": "SimVP_SVQ_ConvMixer"},
    "ConvNeXt": {"w/o SVQ": "SimVP_ConvNeXt", "w SVQ": "SimVP_SVQ_ConvNeXt"},
    "HorNet": {"w/o SVQ": "SimVP_HorNet", "w SVQ": "SimVP_SVQ_HorNet"},
    "MogaNet": {"w/o SVQ": "SimVP_MogaNet", "w SVQ": "SimVP_SVQ_MogaNet"},
    "ViT": {"w/o SVQ": "SimVP_ViT", "w SVQ": "SimVP_SVQ_ViT"},
    "Swin": {"w/o SVQ": "SimVP_Swin", "w SVQ": "SimVP_SVQ_Swin"},
    "Uniformer": {"w/o SVQ": "SimVP_Uniformer", "w SVQ": "SimVP_SVQ_Uniformer"},
    "Poolformer": {"w/o SVQ": "SimVP_Poolformer", "w SVQ": "SimVP_SVQ_Poolformer"},
    "VAN": {"w/o SVQ": "SimVP_VAN", "w SVQ": "SimVP_SVQ_VAN"},
    "MLP-Mixer": {"w/o SVQ": "SimVP_MLPMixer", "w SVQ": "SimVP_SVQ_MLPMixer"},
}
baseline = {"variant": "w/o SVQ"}
