# Table 13: Multi-headed VQ, which has 1024 codes in Table 4 too.
_base_ = "../quantizers/SimVP_MultiHeadedVQ_gSTA.py"
