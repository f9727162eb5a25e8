# SVQ as the paper has it. SimVP_SVQ_gSTA.py is the form that spoils the forecast less (docs/study.md).
_base_ = ["SimVP_gSTA.py", "../_base_/svq.py"]
