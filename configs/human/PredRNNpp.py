# Table 2: PredRNN++.
_base_ = "../_base_/predrnnpp.py"
patch_size = 4
lr = 1e-4
sched = "cosine"
epoch = 50
