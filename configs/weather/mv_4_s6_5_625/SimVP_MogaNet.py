# Table 1: WeatherBench-M, without a quantizer.
_base_ = "../../_base_/weather.py"
model_type = "moga"
lr = 5e-3
warmup_epoch = 5
