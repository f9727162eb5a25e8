# Table 6: one layer, no hidden one.
_base_ = "../SimVP_SVQ_gSTA.py"
quantizer_kwargs = dict(hidden_dim=None)
