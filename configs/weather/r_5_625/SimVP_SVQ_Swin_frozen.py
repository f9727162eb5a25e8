# Table 1: WeatherBench-S humidity, SVQ with a frozen codebook.
_base_ = "SimVP_SVQ_Swin.py"
quantizer_kwargs = dict(learn_codebook=False)
