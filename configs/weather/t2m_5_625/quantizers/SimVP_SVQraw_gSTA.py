# Table 4: SVQ-raw, sparse coding by LISTA. The paper does not name the loss of this row; its MAE, below that of every
# method trained with MSE, points to SVQ's own.
_base_ = "_base_.py"
quantizer = "svq_raw"
loss = "mae"
