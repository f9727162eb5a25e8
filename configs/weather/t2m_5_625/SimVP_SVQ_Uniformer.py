# Table 3: Uniformer with SVQ.
_base_ = ["SimVP_Uniformer.py", "../../_base_/svq.py"]
