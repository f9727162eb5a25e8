# Arm of docs/study.md: SVQ as published, learnable codebook.
_base_ = "../_base_/study.py"
