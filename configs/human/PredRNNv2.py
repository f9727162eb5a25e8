# Table 2: PredRNN.V2.
_base_ = "../_base_/predrnnv2.py"
patch_size = 4
lr = 1e-4
sched = "cosine"
epoch = 50
