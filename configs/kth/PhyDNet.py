# Table 2: PhyDNet.
_base_ = "../_base_/phydnet.py"
lr = 1e-3
sched = "onecycle"
epoch = 100
