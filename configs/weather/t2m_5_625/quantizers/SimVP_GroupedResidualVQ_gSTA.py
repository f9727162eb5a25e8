# Table 4: Grouped Residual VQ.
_base_ = "_base_.py"
quantizer = "grouped_residual_vq"
