# Table 12: PhyDNet.
_base_ = "../../_base_/phydnet.py"
patch_size = 2
lr = 1e-4
sched = "cosine"
epoch = 50
