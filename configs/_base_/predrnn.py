# PredRNN (Wang et al. 2017).
_base_ = "recurrent.py"
method = "predrnn"
