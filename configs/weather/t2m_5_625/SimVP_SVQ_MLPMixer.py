# Table 3: MLPMixer with SVQ.
_base_ = ["SimVP_MLPMixer.py", "../../_base_/svq.py"]
