# Table 6: post-ReLU, the regression weights are not negative.
_base_ = "../SimVP_SVQ_gSTA.py"
quantizer_kwargs = dict(output_relu=True)
