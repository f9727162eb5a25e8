# Table 1: WeatherBench-M: PredRNN++.
_base_ = "../../_base_/predrnnpp.py"
lr = 1e-4
sched = "cosine"
epoch = 50
