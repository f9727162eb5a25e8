# Arm of docs/study.md: a step changes the fold by at most one per cent of its norm.
_base_ = "../_base_/study.py"
fold_clip = 0.01
