# SVQ with a learnable codebook before the translator, trained with MAE (Sections 3.2 and 5).
method = "simvp_svq"
quantizer = "svq"
quantizer_kwargs = dict(codebook_size=10_000, hidden_dim=128)
quant_position = "before"
loss = "mae"
