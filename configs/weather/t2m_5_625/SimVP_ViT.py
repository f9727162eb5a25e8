# Table 3: ViT, without a quantizer.
_base_ = "../../_base_/weather.py"
model_type = "vit"
lr = 1e-3
