# Table 2: KittiCaltech, TAU in the size of Table 12 (44.7M); OpenSTL's own configuration file has KTH's (15.0M).
_base_ = ["../_base_/simvp.py", "../_base_/tau.py"]
hid_S = 64
hid_T = 512
N_T = 8
N_S = 4
drop_path = 0.1
lr = 1e-2
sched = "onecycle"
epoch = 100
