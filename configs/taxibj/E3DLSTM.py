# Table 14: TaxiBJ: E3D-LSTM.
_base_ = "../_base_/e3dlstm.py"
lr = 5e-3
sched = "cosine"
warmup_epoch = 5
epoch = 50
