# Table 1: ConvLSTM.
_base_ = "../../_base_/convlstm.py"
lr = 5e-4
sched = "cosine"
epoch = 50
