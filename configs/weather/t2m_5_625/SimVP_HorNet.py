# Table 3: HorNet, without a quantizer.
_base_ = "../../_base_/weather.py"
model_type = "hornet"
lr = 1e-3
