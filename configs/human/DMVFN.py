# Table 2: Human3.6M, DMVFN (a row without numbers there).
_base_ = "../_base_/dmvfn.py"
lr = 1e-3
sched = "cosine"
epoch = 50
