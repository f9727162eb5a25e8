# Table 3: Poolformer with SVQ.
_base_ = ["SimVP_Poolformer.py", "../../_base_/svq.py"]
