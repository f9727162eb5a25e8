# Table 1: WeatherBench, SVQ beside the other forecasting models.
title = "WeatherBench"
metrics = ["mse", "mae"]
groups = {
    "WeatherBench-S temperature": {
        "dataset": "weather_t2m_5_625",
        "configs": "weather/t2m_5_625",
        "translator": "gSTA",
    },
    "WeatherBench-S humidity": {"dataset": "weather_r_5_625", "configs": "weather/r_5_625", "translator": "Swin"},
    "WeatherBench-S wind component": {
        "dataset": "weather_uv10_5_625",
        "configs": "weather/uv10_5_625",
        "translator": "Swin",
    },
    "WeatherBench-S total cloud cover": {
        "dataset": "weather_tcc_5_625",
        "configs": "weather/tcc_5_625",
        "translator": "gSTA",
    },
    # One run scores the four variables of WeatherBench-M.
    "WeatherBench-M temperature": {
        "dataset": "weather_mv_4_4_s6_5_625",
        "configs": "weather/mv_4_s6_5_625",
        "translator": "MogaNet",
        "variable": "t",
        "without": ["E3D-LSTM"],
    },
    "WeatherBench-M humidity": {
        "dataset": "weather_mv_4_4_s6_5_625",
        "configs": "weather/mv_4_s6_5_625",
        "translator": "MogaNet",
        "variable": "r",
        "without": ["E3D-LSTM"],
    },
    "WeatherBench-M wind u component": {
        "dataset": "weather_mv_4_4_s6_5_625",
        "configs": "weather/mv_4_s6_5_625",
        "translator": "MogaNet",
        "variable": "u",
        "without": ["E3D-LSTM"],
    },
    "WeatherBench-M wind v component": {
        "dataset": "weather_mv_4_4_s6_5_625",
        "configs": "weather/mv_4_s6_5_625",
        "translator": "MogaNet",
        "variable": "v",
        "without": ["E3D-LSTM"],
    },
}
rows = {
    "ConvLSTM": "ConvLSTM",
    "E3D-LSTM": "E3DLSTM",
    "PredRNN": "PredRNN",
    "MIM": "MIM",
    "MAU": "MAU",
    "PredRNN++": "PredRNNpp",
    "PredRNNv2": "PredRNNv2",
    "TAU": "TAU",
    "SimVP (w/o VQ)": "SimVP_{translator}",
    "SimVP+SVQ (Frozen)": "SimVP_SVQ_{translator}_frozen",
    "SimVP+SVQ (Learnable)": "SimVP_SVQ_{translator}",
}
baseline = {"row": "SimVP (w/o VQ)"}
