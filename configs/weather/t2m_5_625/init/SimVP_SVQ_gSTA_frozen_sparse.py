# Table 8: codebook initialised as sparse, nine entries of ten are 0, frozen.
_base_ = "../SimVP_SVQ_gSTA_frozen.py"
quantizer_kwargs = dict(init="sparse")
