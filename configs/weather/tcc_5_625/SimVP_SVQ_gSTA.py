# Table 1: WeatherBench-S total cloud cover, SVQ with a learnable codebook.
_base_ = ["SimVP_gSTA.py", "../../_base_/svq.py"]
warmup_epoch = 5
loss = "mse"  # as the authors' released configuration, although the paper names MAE throughout
