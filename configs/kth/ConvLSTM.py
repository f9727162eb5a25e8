# Table 2: ConvLSTM.
_base_ = "../_base_/convlstm.py"
lr = 1e-3
sched = "onecycle"
epoch = 100
