# Table 1: WeatherBench-S total cloud cover, without a quantizer.
_base_ = "../../_base_/weather.py"
model_type = "gSTA"
lr = 1e-2
