# Table 14: TaxiBJ, TAU.
_base_ = ["../_base_/weather.py", "../_base_/tau.py"]
lr = 5e-4
warmup_epoch = 5
