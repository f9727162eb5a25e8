# Table 2: MAU.
_base_ = "../_base_/mau.py"
lr = 1e-3
sched = "onecycle"
epoch = 100
