# ConvLSTM (Shi et al. 2015).
_base_ = "recurrent.py"
method = "convlstm"
