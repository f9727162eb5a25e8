# Table 8: codebook initialised as trunc normal, frozen.
_base_ = "../SimVP_SVQ_gSTA_frozen.py"
quantizer_kwargs = dict(init="trunc_normal")
