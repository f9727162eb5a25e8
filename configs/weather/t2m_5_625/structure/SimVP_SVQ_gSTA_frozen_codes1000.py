# Table 6: 1000 codes, frozen.
_base_ = "../SimVP_SVQ_gSTA_frozen.py"
quantizer_kwargs = dict(codebook_size=1000)
