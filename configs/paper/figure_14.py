# Figure 14: feature maps before and after SVQ, Human3.6M.
title = "Latent feature maps, Human3.6M"
metrics = ["mae", "ssim"]
figures = ["latent_maps"]
groups = {"Human3.6M": {"dataset": "human", "configs": "human", "translator": "gSTA"}}
rows = {"SVQ": "SimVP_SVQ_{translator}"}
