# Table 8: initialisation of the codebook; kurtosis of the regression weights at the end of training.
title = "Initialisation"
metrics = ["mse", "mae", "kurtosis"]
groups = {"WeatherBench-S temperature": {"dataset": "weather_t2m_5_625", "configs": "weather/t2m_5_625"}}
rows = {
    "kaiming uniform, Frozen": "SimVP_SVQ_gSTA_frozen",
    "kaiming uniform, Learnable": "SimVP_SVQ_gSTA",
    "sparse(sparsity=0.9), Frozen": "init/SimVP_SVQ_gSTA_frozen_sparse",
    "sparse(sparsity=0.9), Learnable": "init/SimVP_SVQ_gSTA_sparse",
    "trunc normal, Frozen": "init/SimVP_SVQ_gSTA_frozen_trunc_normal",
    "trunc normal, Learnable": "init/SimVP_SVQ_gSTA_trunc_normal",
    "orthogonal, Frozen": "init/SimVP_SVQ_gSTA_frozen_orthogonal",
    "orthogonal, Learnable": "init/SimVP_SVQ_gSTA_orthogonal",
}
baseline = {"row": "kaiming uniform, Learnable"}
