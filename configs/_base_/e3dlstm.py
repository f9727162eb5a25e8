# E3D-LSTM (Wang et al. 2019).
_base_ = "recurrent.py"
method = "e3dlstm"
