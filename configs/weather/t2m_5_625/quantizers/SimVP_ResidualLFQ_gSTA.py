# Table 4: Residual LFQ.
_base_ = "_base_.py"
quantizer = "residual_lfq"
