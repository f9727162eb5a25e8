# Arm of docs/study.md: the fold begins near zero, and moves as the control's layer does.
_base_ = "../_base_/study.py"
quantizer_lr = "width"
quantizer_kwargs = dict(init_scale="1/N")
