# Table 1: PredRNN.
_base_ = "../../_base_/predrnn.py"
lr = 1e-3
sched = "cosine"
epoch = 50
