# Table 2: ConvLSTM.
_base_ = "../_base_/convlstm.py"
patch_size = 4
lr = 1e-4
sched = "cosine"
epoch = 50
