# WeatherBench-HMV, SVQ with a learnable codebook. Not in the paper.
_base_ = ["SimVP_gSTA.py", "../../_base_/svq.py"]
