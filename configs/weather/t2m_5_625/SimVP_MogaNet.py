# Table 3: MogaNet, without a quantizer.
_base_ = "../../_base_/weather.py"
model_type = "moga"
lr = 5e-3
drop_path = 0.2
