# Table 14: TaxiBJ, DMVFN.
_base_ = "../_base_/dmvfn.py"
lr = 1e-4
sched = "cosine"
epoch = 50
warmup_epoch = 5
