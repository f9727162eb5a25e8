# Table 3: Swin, without a quantizer.
_base_ = "../../_base_/weather.py"
model_type = "swin"
lr = 1e-3
