# Figure 12: feature maps before and after SVQ, TaxiBJ.
title = "Latent feature maps, TaxiBJ"
metrics = ["mse", "mae"]
figures = ["latent_maps"]
groups = {"TaxiBJ": {"dataset": "taxibj", "configs": "taxibj", "translator": "gSTA"}}
rows = {"SVQ": "SimVP_SVQ_{translator}"}
