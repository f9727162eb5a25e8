# Table 2: Human3.6M, SVQ with a learnable codebook.
_base_ = ["SimVP_gSTA.py", "../_base_/svq.py"]
lr = 2.5e-4
