# Table 1: PredRNN.V2.
_base_ = "../../_base_/predrnnv2.py"
lr = 1e-3
sched = "cosine"
epoch = 50
