# The control that Table 4 lacks: SVQ's function class, a two-layer MLP of its hidden width, trained directly.
_base_ = "_base_.py"
quantizer = "mlp"
loss = "mae"
