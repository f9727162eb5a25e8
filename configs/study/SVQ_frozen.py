# Arm of docs/study.md: SVQ as published, frozen codebook.
_base_ = "../_base_/study.py"
quantizer_kwargs = dict(learn_codebook=False)
