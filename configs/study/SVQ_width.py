# Arm of docs/study.md: the fold moves as the control's layer does.
_base_ = "../_base_/study.py"
quantizer_lr = "width"
