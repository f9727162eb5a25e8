# Table 1: TAU.
_base_ = ["../../_base_/weather.py", "../../_base_/tau.py"]
lr = 5e-3
