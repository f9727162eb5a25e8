# Table 14: TaxiBJ: PhyDNet.
_base_ = "../_base_/phydnet.py"
patch_size = 2
lr = 5e-4
sched = "cosine"
warmup_epoch = 5
epoch = 50
