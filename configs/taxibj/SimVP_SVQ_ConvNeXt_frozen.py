# Table 12: TaxiBJ with the translator that the cost table was made with, SVQ with a frozen codebook.
_base_ = "SimVP_SVQ_ConvNeXt.py"
quantizer_kwargs = dict(learn_codebook=False)
