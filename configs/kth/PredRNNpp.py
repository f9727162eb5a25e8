# Table 2: PredRNN++.
_base_ = "../_base_/predrnnpp.py"
lr = 1e-3
sched = "onecycle"
epoch = 100
