# Table 14: TaxiBJ, PredNet.
_base_ = "../_base_/prednet.py"
lr = 1e-3
sched = "cosine"
epoch = 50
