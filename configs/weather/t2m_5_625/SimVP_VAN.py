# Table 3: VAN, without a quantizer.
_base_ = "../../_base_/weather.py"
model_type = "van"
lr = 5e-3
