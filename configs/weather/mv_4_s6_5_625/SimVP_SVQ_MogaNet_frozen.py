# Table 1: WeatherBench-M, SVQ with a frozen codebook.
_base_ = "SimVP_SVQ_MogaNet.py"
quantizer_kwargs = dict(learn_codebook=False)
