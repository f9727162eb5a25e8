# Table 3: ConvMixer with SVQ.
_base_ = ["SimVP_ConvMixer.py", "../../_base_/svq.py"]
