# Table 15: neither the MLP nor the codebook is trained.
_base_ = "../SimVP_SVQ_gSTA_frozen.py"
quantizer_kwargs = dict(learn_projection=False)
