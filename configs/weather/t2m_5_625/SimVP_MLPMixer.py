# Table 3: MLPMixer, without a quantizer.
_base_ = "../../_base_/weather.py"
model_type = "mlp"
lr = 1e-3
