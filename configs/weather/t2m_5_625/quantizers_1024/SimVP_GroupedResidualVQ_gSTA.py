# Table 13: Grouped Residual VQ, which has 1024 codes in Table 4 too.
_base_ = "../quantizers/SimVP_GroupedResidualVQ_gSTA.py"
