# Table 2: KTH, SVQ with a frozen codebook.
_base_ = "SimVP_SVQ_IncepU.py"
quantizer_kwargs = dict(learn_codebook=False)
