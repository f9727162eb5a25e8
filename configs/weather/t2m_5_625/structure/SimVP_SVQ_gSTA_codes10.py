# Table 6: 10 codes. The hidden width follows: it is at most the number of codes.
_base_ = "../SimVP_SVQ_gSTA.py"
quantizer_kwargs = dict(codebook_size=10)
