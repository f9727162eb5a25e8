# Figure 10: feature maps before and after SVQ, KittiCaltech.
title = "Latent feature maps, KittiCaltech"
metrics = ["mae", "ssim"]
figures = ["latent_maps"]
groups = {"KittiCaltech": {"dataset": "kitticaltech", "configs": "kitticaltech", "translator": "gSTA"}}
rows = {"SVQ": "SimVP_SVQ_{translator}"}
