# Table 3: Uniformer, without a quantizer.
_base_ = "../../_base_/weather.py"
model_type = "uniformer"
lr = 5e-3
