# Table 2: KittiCaltech, SVQ with a learnable codebook.
_base_ = ["SimVP_gSTA.py", "../_base_/svq.py"]
quantizer_kwargs = dict(codebook_size=6_000)
lr = 1.25e-3
