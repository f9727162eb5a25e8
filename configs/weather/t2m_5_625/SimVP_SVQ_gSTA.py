# Tables 1, 3, 4, 6, 7, 8 and 15: SVQ with a learnable codebook on WeatherBench-S temperature, the paper's main result.
_base_ = ["SimVP_gSTA.py", "../../_base_/svq.py"]
warmup_epoch = 5
