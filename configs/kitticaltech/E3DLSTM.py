# Table 2: E3D-LSTM.
_base_ = "../_base_/e3dlstm.py"
patch_size = 4
lr = 2.5e-3
sched = "onecycle"
epoch = 100
