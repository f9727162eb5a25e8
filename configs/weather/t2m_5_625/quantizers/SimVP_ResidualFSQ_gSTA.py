# Table 4: Residual Finite Scalar Quantization.
_base_ = "_base_.py"
quantizer = "residual_fsq"
