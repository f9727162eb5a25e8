# Table 2: Human3.6M, TAU.
_base_ = ["SimVP_gSTA.py", "../_base_/tau.py"]
N_T = 8
