# PredRNN++ (Wang et al. 2018).
_base_ = "recurrent.py"
method = "predrnnpp"
