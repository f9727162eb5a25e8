# WeatherBench-HMV, without a quantizer. Not in the paper: the settings of the authors' released code.
_base_ = "../../_base_/weather.py"
model_type = "gSTA"
lr = 2.5e-3
warmup_epoch = 5
