# Appendix B.1, Figure 7: VQ after the translator, 1024 codes.
_base_ = "../quantizers_1024/SimVP_VQ_gSTA.py"
quant_position = "after"
