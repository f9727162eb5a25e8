# Table 1: E3D-LSTM. OpenSTL has no file of it; the patches are those of Table 12's cost.
_base_ = "../../_base_/e3dlstm.py"
patch_size = 4
lr = 1e-4
sched = "cosine"
epoch = 50
