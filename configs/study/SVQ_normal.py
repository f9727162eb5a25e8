# Arm of docs/study.md: SVQ with the initialisation that the authors' configurations get.
_base_ = "../_base_/study.py"
quantizer_kwargs = dict(init="normal")
