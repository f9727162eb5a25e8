# WeatherBench-HMV, SVQ with a frozen codebook. Not in the paper.
_base_ = "SimVP_SVQ_gSTA.py"
quantizer_kwargs = dict(learn_codebook=False)
