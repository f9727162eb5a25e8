# Table 3: Swin with SVQ.
_base_ = ["SimVP_Swin.py", "../../_base_/svq.py"]
