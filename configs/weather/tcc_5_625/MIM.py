# Table 1: MIM.
_base_ = "../../_base_/mim.py"
patch_size = 4
lr = 1e-3
sched = "cosine"
epoch = 50
