# Table 5: 20 % of the training input disturbed, without SVQ.
_base_ = "../SimVP_gSTA.py"
noise_ratio = 0.2
