# Table 2: MAU.
_base_ = "../_base_/mau.py"
lr = 5e-4
sched = "onecycle"
epoch = 100
