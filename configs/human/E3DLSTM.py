# Table 2: E3D-LSTM.
_base_ = "../_base_/e3dlstm.py"
patch_size = 8
lr = 1e-4
sched = "cosine"
epoch = 50
