# Tables 1, 6, 8 and 15: the codebook stays as it was drawn.
_base_ = "SimVP_SVQ_gSTA.py"
quantizer_kwargs = dict(learn_codebook=False)
