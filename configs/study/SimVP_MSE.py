# Arm of docs/study.md: SimVP alone, with OpenSTL's loss.
_base_ = "../_base_/study.py"
quant_position = "none"
loss = "mse"
