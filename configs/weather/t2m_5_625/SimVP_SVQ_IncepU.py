# Table 3: IncepU with SVQ.
_base_ = ["SimVP_IncepU.py", "../../_base_/svq.py"]
