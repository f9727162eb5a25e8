# Table 1: WeatherBench-M: PredRNN.
_base_ = "../../_base_/predrnn.py"
lr = 1e-4
sched = "cosine"
epoch = 50
