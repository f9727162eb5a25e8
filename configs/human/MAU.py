# Table 2: MAU.
_base_ = "../_base_/mau.py"
sr_size = 4
lr = 1e-4
sched = "cosine"
epoch = 50
