# Table 12: TaxiBJ with the translator that the cost table was made with, without a quantizer.
_base_ = "../_base_/weather.py"
model_type = "convnext"
lr = 1e-3
warmup_epoch = 5
