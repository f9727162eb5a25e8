# The first command of the README, in the form that the study found best: z + g q, and the fold moves as a layer of its
# shape does (docs/study.md).
_base_ = "SimVP_SVQ_gSTA_published.py"
quantizer_lr = "width"
quantizer_kwargs = dict(residual=True)
