# Table 14: TaxiBJ: PredRNN.
_base_ = "../_base_/predrnn.py"
lr = 1e-4
sched = "cosine"
warmup_epoch = 5
epoch = 50
