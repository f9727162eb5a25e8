# PredRNN.V2 (Wang et al. 2022).
_base_ = "recurrent.py"
method = "predrnnv2"
reverse_scheduled_sampling = 1
decouple_beta = 0.1
