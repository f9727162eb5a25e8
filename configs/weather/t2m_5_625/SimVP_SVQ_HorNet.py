# Table 3: HorNet with SVQ.
_base_ = ["SimVP_HorNet.py", "../../_base_/svq.py"]
