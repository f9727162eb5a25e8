# Table 13: Residual VQ (Stochastic), which has 1024 codes in Table 4 too.
_base_ = "../quantizers/SimVP_ResidualVQStochastic_gSTA.py"
