# Table 12: parameters (millions) and FLOPs (multiply-adds of one forecast, thousand millions). Nothing is trained.
# TaxiBJ's column is that of the translator ConvNeXt, although Table 10 names gSTA; see tools/benchmark.py cost.
title = "Number of parameters and computing performances"
metrics = ["params_m", "flops_g"]
counted = True
groups = {
    "Human3.6M": {"dataset": "human", "configs": "human", "translator": "gSTA", "without": ["DMVFN"]},
    "KTH": {"dataset": "kth", "configs": "kth", "translator": "IncepU"},
    "KittiCaltech": {"dataset": "kitticaltech", "configs": "kitticaltech", "translator": "gSTA"},
    "WeatherBench-S temperature": {
        "dataset": "weather_t2m_5_625",
        "configs": "weather/t2m_5_625",
        "translator": "gSTA",
        "without": ["PredNet", "DMVFN"],
    },
    "TaxiBJ": {"dataset": "taxibj", "configs": "taxibj", "translator": "ConvNeXt"},
}
rows = {
    "ConvLSTM": "ConvLSTM",
    "E3D-LSTM": "E3DLSTM",
    "PredNet": "PredNet",
    "PhyDNet": "PhyDNet",
    "MAU": "MAU",
    "MIM": "MIM",
    "PredRNN": "PredRNN",
    "PredRNN++": "PredRNNpp",
    "PredRNNv2": "PredRNNv2",
    "DMVFN": "DMVFN",
    "TAU": "TAU",
    "SimVP (w/o VQ)": "SimVP_{translator}",
    "SimVP+SVQ": "SimVP_SVQ_{translator}",
}
baseline = {"row": "SimVP (w/o VQ)"}
