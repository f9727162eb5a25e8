# Table 2: PredRNN.V2.
_base_ = "../_base_/predrnnv2.py"
lr = 1e-3
sched = "onecycle"
epoch = 100
