# Table 2: MIM.
_base_ = "../_base_/mim.py"
lr = 1e-2
sched = "onecycle"
epoch = 100
