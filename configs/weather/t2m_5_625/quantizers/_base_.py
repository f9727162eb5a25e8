# Table 4 compares quantizers on one backbone. Lookup methods train with MSE and their auxiliary loss; their settings
# are Table 11's, which are the defaults of the quantizers.
_base_ = "../SimVP_gSTA.py"
method = "simvp_svq"
quant_position = "before"
loss = "mse"
warmup_epoch = 5
