# Figure 2: FLOPs and MSE against the size of the codebook. SVQ-raw ends for want of memory at some size; its cells stay empty.
# FLOPs of SVQ are those of its folded form, which does not grow with the codebook as the paper's does.
title = "Effect of SVQ's approximation"
metrics = ["mse", "flops_g"]
figures = ["codebook_size"]
sample = ["64 codes", "128 codes", "256 codes"]
groups = {"WeatherBench-S temperature": {"dataset": "weather_t2m_5_625", "configs": "weather/t2m_5_625"}}
rows = {
    "SVQ-raw": {
        "64 codes": "quantizers/SimVP_SVQraw_gSTA quantizer_kwargs.codebook_size=64",
        "128 codes": "quantizers/SimVP_SVQraw_gSTA quantizer_kwargs.codebook_size=128",
        "256 codes": "quantizers/SimVP_SVQraw_gSTA quantizer_kwargs.codebook_size=256",
        "512 codes": "quantizers/SimVP_SVQraw_gSTA quantizer_kwargs.codebook_size=512",
        "1,024 codes": "quantizers/SimVP_SVQraw_gSTA quantizer_kwargs.codebook_size=1024",
        "2,048 codes": "quantizers/SimVP_SVQraw_gSTA quantizer_kwargs.codebook_size=2048",
        "4,096 codes": "quantizers/SimVP_SVQraw_gSTA quantizer_kwargs.codebook_size=4096",
        "8,192 codes": "quantizers/SimVP_SVQraw_gSTA quantizer_kwargs.codebook_size=8192",
        "16,384 codes": "quantizers/SimVP_SVQraw_gSTA quantizer_kwargs.codebook_size=16384",
    },
    "SVQ": {
        "64 codes": "SimVP_SVQ_gSTA quantizer_kwargs.codebook_size=64",
        "128 codes": "SimVP_SVQ_gSTA quantizer_kwargs.codebook_size=128",
        "256 codes": "SimVP_SVQ_gSTA quantizer_kwargs.codebook_size=256",
        "512 codes": "SimVP_SVQ_gSTA quantizer_kwargs.codebook_size=512",
        "1,024 codes": "SimVP_SVQ_gSTA quantizer_kwargs.codebook_size=1024",
        "2,048 codes": "SimVP_SVQ_gSTA quantizer_kwargs.codebook_size=2048",
        "4,096 codes": "SimVP_SVQ_gSTA quantizer_kwargs.codebook_size=4096",
        "8,192 codes": "SimVP_SVQ_gSTA quantizer_kwargs.codebook_size=8192",
        "16,384 codes": "SimVP_SVQ_gSTA quantizer_kwargs.codebook_size=16384",
    },
}
