# Table 1: PredRNN++.
_base_ = "../../_base_/predrnnpp.py"
lr = 5e-4
sched = "cosine"
epoch = 50
