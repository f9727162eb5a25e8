# The first command of the README.
_base_ = ["SimVP_gSTA.py", "../_base_/svq.py"]
