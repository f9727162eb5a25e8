# Table 7 and Figure 5: SVQ, MSE loss.
_base_ = "../SimVP_SVQ_gSTA.py"
loss = "mse"
