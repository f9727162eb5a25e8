# Table 1: WeatherBench-S humidity, SVQ with a learnable codebook.
_base_ = ["SimVP_Swin.py", "../../_base_/svq.py"]
warmup_epoch = 5
