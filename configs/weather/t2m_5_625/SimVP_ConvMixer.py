# Table 3: ConvMixer, without a quantizer.
_base_ = "../../_base_/weather.py"
model_type = "convmixer"
lr = 1e-2
