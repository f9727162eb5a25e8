# Small enough for two minutes on two CPU cores.
_base_ = "../_base_/weather.py"
model_type = "gSTA"
hid_S = 8
hid_T = 32
N_T = 2
mlp_ratio = 4.0
drop_path = 0.0
batch_size = 4
lr = 5e-3
epoch = 3
