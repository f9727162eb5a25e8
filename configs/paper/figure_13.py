# Figure 13: feature maps before and after SVQ, KTH.
title = "Latent feature maps, KTH"
metrics = ["mae", "ssim"]
figures = ["latent_maps"]
groups = {"KTH": {"dataset": "kth", "configs": "kth", "translator": "IncepU"}}
rows = {"SVQ": "SimVP_SVQ_{translator}"}
