# Table 4: Residual VQ (Stochastic).
_base_ = "_base_.py"
quantizer = "residual_vq_stochastic"
