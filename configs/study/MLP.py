# Arm of docs/study.md: the control, SVQ's function trained without a codebook.
_base_ = "../_base_/study.py"
quantizer = "mlp"
