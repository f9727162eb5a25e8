# Table 1: WeatherBench-M, TAU.
_base_ = ["../../_base_/weather.py", "../../_base_/tau.py"]
lr = 5e-3
warmup_epoch = 5
