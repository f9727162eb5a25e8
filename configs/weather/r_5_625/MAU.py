# Table 1: MAU.
_base_ = "../../_base_/mau.py"
sr_size = 4
lr = 5e-4
sched = "cosine"
epoch = 50
