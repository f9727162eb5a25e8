# Table 2: PhyDNet.
_base_ = "../_base_/phydnet.py"
lr = 1e-4
sched = "cosine"
epoch = 50
