# Table 2: KittiCaltech, DMVFN.
_base_ = "../_base_/dmvfn.py"
lr = 5e-4
sched = "onecycle"
epoch = 100
