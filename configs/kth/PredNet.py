# Table 2: KTH, PredNet.
_base_ = "../_base_/prednet.py"
lr = 1e-3
sched = "onecycle"
epoch = 100
