# MAU (Chang et al. 2021).
_base_ = "scheduled.py"
method = "mau"
num_hidden = "64,64,64,64"
patch_size = 1
sr_size = 2
tau = 5
cell_mode = "normal"
model_mode = "normal"
