# Table 13: SVQ, 1024 codes.
_base_ = "../SimVP_SVQ_gSTA.py"
quantizer_kwargs = dict(codebook_size=1024)
