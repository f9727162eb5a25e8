# Arm of docs/study.md: group norm after the quantizer, at the published rate.
_base_ = "../_base_/study.py"
quantizer_kwargs = dict(norm="group")
