# Arm of docs/study.md: the control of SVQ_residual.
_base_ = "../_base_/study.py"
quantizer = "mlp"
quantizer_kwargs = dict(residual=True)
