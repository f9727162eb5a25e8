# TAU with SVQ. Not in the paper.
_base_ = ["TAU.py", "../../_base_/svq.py"]
method = "tau_svq"
warmup_epoch = 5
