# Table 14: TaxiBJ, SVQ with a learnable codebook.
_base_ = ["SimVP_gSTA.py", "../_base_/svq.py"]
