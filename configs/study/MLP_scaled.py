# Arm of docs/study.md: the control of SVQ_scaled.
_base_ = "../_base_/study.py"
quantizer = "mlp"
quantizer_kwargs = dict(init_scale="1/N")
