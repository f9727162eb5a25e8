# Table 1: PredRNN.
_base_ = "../../_base_/predrnn.py"
lr = 5e-4
sched = "cosine"
epoch = 50
