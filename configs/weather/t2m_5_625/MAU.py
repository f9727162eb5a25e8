# Table 1: MAU.
_base_ = "../../_base_/mau.py"
lr = 1e-4
sched = "cosine"
epoch = 50
