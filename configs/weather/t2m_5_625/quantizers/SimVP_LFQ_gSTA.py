# Table 4: Lookup Free Quantization.
_base_ = "_base_.py"
quantizer = "lfq"
