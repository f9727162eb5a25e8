# Tables 1 and 3: the backbone of WeatherBench-S temperature, without a quantizer.
_base_ = "../../_base_/weather.py"
model_type = "gSTA"
lr = 5e-3
