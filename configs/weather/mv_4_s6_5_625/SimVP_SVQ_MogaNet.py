# Table 1: WeatherBench-M, SVQ with a learnable codebook.
_base_ = ["SimVP_MogaNet.py", "../../_base_/svq.py"]
