# Arm of docs/study.md: z + g q, and the fold moves as the control's layer does.
_base_ = "../_base_/study.py"
quantizer_lr = "width"
quantizer_kwargs = dict(residual=True)
