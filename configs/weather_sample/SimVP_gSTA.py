# A smaller backbone and a shorter schedule: minutes on two CPU cores.
_base_ = "../_base_/weather.py"
model_type = "gSTA"
hid_S = 16
hid_T = 64
N_T = 4
lr = 5e-3
epoch = 20
