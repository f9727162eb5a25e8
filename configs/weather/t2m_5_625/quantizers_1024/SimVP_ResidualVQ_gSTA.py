# Table 13: Residual VQ, which has 1024 codes in Table 4 too.
_base_ = "../quantizers/SimVP_ResidualVQ_gSTA.py"
