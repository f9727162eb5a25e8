# Table 2: Human3.6M, PredNet.
_base_ = "../_base_/prednet.py"
lr = 1e-4
sched = "cosine"
epoch = 50
