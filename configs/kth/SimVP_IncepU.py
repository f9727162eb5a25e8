# Table 2: KTH, without a quantizer.
_base_ = "../_base_/simvp.py"
model_type = "IncepU"
hid_S = 64
hid_T = 256
N_T = 6
N_S = 2
drop_path = 0.1
lr = 1e-3
sched = "onecycle"
epoch = 100
