# Table 2: KTH, DMVFN.
_base_ = "../_base_/dmvfn.py"
lr = 5e-5
sched = "onecycle"
epoch = 100
