# Arm of docs/study.md: eight quantizers of 512 codes, each codes what the ones before it left over; MSE and its auxiliary loss.
_base_ = "../_base_/study.py"
quantizer = "residual_vq"
quantizer_kwargs = dict(codebook_size=512, num_quantizers=8)
loss = "mse"
