# Table 2: KTH, TAU.
_base_ = ["SimVP_IncepU.py", "../_base_/tau.py"]
