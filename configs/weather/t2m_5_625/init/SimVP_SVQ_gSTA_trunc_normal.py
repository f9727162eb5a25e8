# Table 8: codebook initialised as trunc normal.
_base_ = "../SimVP_SVQ_gSTA.py"
quantizer_kwargs = dict(init="trunc_normal")
