# Table 8: codebook initialised as orthogonal.
_base_ = "../SimVP_SVQ_gSTA.py"
quantizer_kwargs = dict(init="orthogonal")
