# Table 4: Multi-headed VQ.
_base_ = "_base_.py"
quantizer = "multi_headed_vq"
