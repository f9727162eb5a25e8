# The first command of OpenSTL's documentation: its name and its sizes.
_base_ = "../../_base_/simvp.py"
model_type = "gSTA"
hid_S = 64
hid_T = 512
N_S = 4
N_T = 8
lr = 1e-3
drop_path = 0.0
sched = "onecycle"
epoch = 200
patience = 0
