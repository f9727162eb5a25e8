# Table 14: TaxiBJ: MIM.
_base_ = "../_base_/mim.py"
lr = 1e-2
sched = "cosine"
warmup_epoch = 5
epoch = 50
