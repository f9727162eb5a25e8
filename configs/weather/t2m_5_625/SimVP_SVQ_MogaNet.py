# Table 3: MogaNet with SVQ.
_base_ = ["SimVP_MogaNet.py", "../../_base_/svq.py"]
