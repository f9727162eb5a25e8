# Table 5: 10 % of the training input disturbed, with SVQ.
_base_ = "../SimVP_SVQ_gSTA.py"
noise_ratio = 0.1
