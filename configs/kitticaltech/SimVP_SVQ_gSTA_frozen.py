# Table 2: KittiCaltech, SVQ with a frozen codebook.
_base_ = "SimVP_SVQ_gSTA.py"
quantizer_kwargs = dict(learn_codebook=False)
