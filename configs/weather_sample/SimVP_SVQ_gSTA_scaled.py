# The fold begins near zero and moves as a layer of its shape does (docs/study.md). The packaged model is of this form
# and these sizes.
_base_ = "SimVP_SVQ_gSTA_published.py"
quantizer_lr = "width"
quantizer_kwargs = dict(init_scale="1/N")
hid_T = 64
batch_size = 8
