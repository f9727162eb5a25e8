# Table 2: Human3.6M, without a quantizer.
_base_ = "../_base_/simvp.py"
model_type = "gSTA"
hid_S = 64
hid_T = 512
N_T = 6
N_S = 4
drop_path = 0.1
lr = 1e-3
sched = "cosine"
epoch = 50
