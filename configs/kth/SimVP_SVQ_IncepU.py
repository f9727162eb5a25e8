# Table 2: KTH, SVQ with a learnable codebook.
_base_ = ["SimVP_IncepU.py", "../_base_/svq.py"]
quantizer_kwargs = dict(codebook_size=6_000)
lr = 5e-4
