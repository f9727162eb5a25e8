# Table 3: ViT with SVQ.
_base_ = ["SimVP_ViT.py", "../../_base_/svq.py"]
