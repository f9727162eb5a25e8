# Table 1: WeatherBench-S total cloud cover, SVQ with a frozen codebook.
_base_ = "SimVP_SVQ_gSTA.py"
quantizer_kwargs = dict(learn_codebook=False)
