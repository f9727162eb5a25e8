# Table 13: VQ, 1024 codes.
_base_ = "../quantizers/SimVP_VQ_gSTA.py"
quantizer_kwargs = dict(codebook_size=1024)
