# Table 4: VQ, 512 codes.
_base_ = "_base_.py"
quantizer = "vq"
