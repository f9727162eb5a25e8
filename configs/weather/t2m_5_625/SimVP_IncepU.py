# Table 3: IncepU, without a quantizer.
_base_ = "../../_base_/weather.py"
model_type = "IncepU"
lr = 1e-2
