# Figure 7: VQ and SVQ after the translator, with 1,024 codes; the paper does not name its backbones, these are five of Table 3's.
title = "Quantizers after the translator while training"
metrics = ["mse", "mae"]
figures = ["curves"]
groups = {"WeatherBench-S temperature": {"dataset": "weather_t2m_5_625", "configs": "weather/t2m_5_625"}}
rows = {
    "SimVPv1(IncepU)": {
        "VQ": "SimVP_SVQ_IncepU quant_position=after quantizer=vq quantizer_kwargs={'codebook_size':1024} loss=mse",
        "SVQ": "SimVP_SVQ_IncepU quant_position=after quantizer_kwargs.codebook_size=1024",
    },
    "SimVPv2(gSTA)": {
        "VQ": "SimVP_SVQ_gSTA quant_position=after quantizer=vq quantizer_kwargs={'codebook_size':1024} loss=mse",
        "SVQ": "SimVP_SVQ_gSTA quant_position=after quantizer_kwargs.codebook_size=1024",
    },
    "ConvNeXt": {
        "VQ": "SimVP_SVQ_ConvNeXt quant_position=after quantizer=vq quantizer_kwargs={'codebook_size':1024} loss=mse",
        "SVQ": "SimVP_SVQ_ConvNeXt quant_position=after quantizer_kwargs.codebook_size=1024",
    },
    "MogaNet": {
        "VQ": "SimVP_SVQ_MogaNet quant_position=after quantizer=vq quantizer_kwargs={'codebook_size':1024} loss=mse",
        "SVQ": "SimVP_SVQ_MogaNet quant_position=after quantizer_kwargs.codebook_size=1024",
    },
    "Swin": {
        "VQ": "SimVP_SVQ_Swin quant_position=after quantizer=vq quantizer_kwargs={'codebook_size':1024} loss=mse",
        "SVQ": "SimVP_SVQ_Swin quant_position=after quantizer_kwargs.codebook_size=1024",
    },
}
