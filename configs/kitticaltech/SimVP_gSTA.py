# Table 2: KittiCaltech, without a quantizer.
_base_ = "../_base_/simvp.py"
model_type = "gSTA"
hid_S = 64
hid_T = 256
N_T = 6
N_S = 2
drop_path = 0.2
lr = 5e-3
sched = "onecycle"
epoch = 100
