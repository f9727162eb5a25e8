# Table 15: the two-layer MLP stays as it was drawn.
_base_ = "../SimVP_SVQ_gSTA.py"
quantizer_kwargs = dict(learn_projection=False)
