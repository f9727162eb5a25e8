# Table 4: Residual VQ.
_base_ = "_base_.py"
quantizer = "residual_vq"
