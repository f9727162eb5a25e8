# Table 3: Poolformer, without a quantizer.
_base_ = "../../_base_/weather.py"
model_type = "poolformer"
lr = 5e-4
