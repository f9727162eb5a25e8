# Table 6: 1000 codes.
_base_ = "../SimVP_SVQ_gSTA.py"
quantizer_kwargs = dict(codebook_size=1000)
