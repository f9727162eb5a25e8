# Table 7: no quantizer, MAE loss.
_base_ = "../SimVP_gSTA.py"
loss = "mae"
