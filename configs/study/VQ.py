# Arm of docs/study.md: the nearest of 512 codes, trained with MSE and its auxiliary loss (Table 11).
_base_ = "../_base_/study.py"
quantizer = "vq"
quantizer_kwargs = dict(codebook_size=512)
loss = "mse"
