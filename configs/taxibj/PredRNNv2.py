# Table 14: TaxiBJ: PredRNN.V2.
_base_ = "../_base_/predrnnv2.py"
lr = 5e-4
sched = "cosine"
warmup_epoch = 5
epoch = 50
