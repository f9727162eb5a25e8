# Arm of docs/study.md: SimVP alone, with SVQ's loss: what the others are compared with.
_base_ = "../_base_/study.py"
quant_position = "none"
