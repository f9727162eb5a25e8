# Table 3: ConvNeXt, without a quantizer.
_base_ = "../../_base_/weather.py"
model_type = "convnext"
lr = 1e-2
