# Table 1: WeatherBench-M: MIM.
_base_ = "../../_base_/mim.py"
patch_size = 4
lr = 1e-4
sched = "cosine"
epoch = 50
