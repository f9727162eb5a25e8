# Table 6: bucket shape, hidden layer and codebook of one size.
_base_ = "../SimVP_SVQ_gSTA.py"
quantizer_kwargs = dict(codebook_size=1280, hidden_dim=1280)
