# Table 3: ConvNeXt with SVQ.
_base_ = ["SimVP_ConvNeXt.py", "../../_base_/svq.py"]
