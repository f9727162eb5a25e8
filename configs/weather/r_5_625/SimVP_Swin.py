# Table 1: WeatherBench-S humidity, without a quantizer.
_base_ = "../../_base_/weather.py"
model_type = "swin"
lr = 1e-3
drop_path = 0.2
