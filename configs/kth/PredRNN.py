# Table 2: PredRNN.
_base_ = "../_base_/predrnn.py"
lr = 1e-3
sched = "onecycle"
epoch = 100
