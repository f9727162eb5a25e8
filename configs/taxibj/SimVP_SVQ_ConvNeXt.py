# Table 12: TaxiBJ with the translator that the cost table was made with, SVQ with a learnable codebook.
_base_ = ["SimVP_ConvNeXt.py", "../_base_/svq.py"]
