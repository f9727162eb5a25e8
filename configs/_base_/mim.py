# Memory in Memory (Wang et al. 2019).
_base_ = "recurrent.py"
method = "mim"
