# Table 14: TaxiBJ: ConvLSTM.
_base_ = "../_base_/convlstm.py"
lr = 5e-4
sched = "cosine"
warmup_epoch = 5
epoch = 50
