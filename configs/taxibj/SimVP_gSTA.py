# Table 14: TaxiBJ, without a quantizer.
_base_ = "../_base_/weather.py"
model_type = "gSTA"
lr = 5e-4
warmup_epoch = 5
