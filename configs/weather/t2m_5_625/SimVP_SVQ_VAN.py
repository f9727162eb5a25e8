# Table 3: VAN with SVQ.
_base_ = ["SimVP_VAN.py", "../../_base_/svq.py"]
