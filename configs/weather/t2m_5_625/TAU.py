# Table 1: TAU.
_base_ = "../../_base_/weather.py"
method = "tau"
model_type = "tau"
alpha = 0.1  # weight of the loss on the frame differences
lr = 5e-3
