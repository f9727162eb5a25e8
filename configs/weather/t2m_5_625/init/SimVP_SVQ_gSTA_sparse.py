# Table 8: codebook initialised as sparse, nine entries of ten are 0.
_base_ = "../SimVP_SVQ_gSTA.py"
quantizer_kwargs = dict(init="sparse")
