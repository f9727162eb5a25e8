# Table 14: TaxiBJ: MAU.
_base_ = "../_base_/mau.py"
lr = 1e-3
sched = "cosine"
warmup_epoch = 5
epoch = 50
