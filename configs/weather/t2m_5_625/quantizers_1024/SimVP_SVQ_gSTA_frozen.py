# Table 13: SVQ, 1024 codes, frozen.
_base_ = "../SimVP_SVQ_gSTA_frozen.py"
quantizer_kwargs = dict(codebook_size=1024)
