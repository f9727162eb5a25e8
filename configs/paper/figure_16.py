# Figure 16: forecasts and their errors, TaxiBJ.
title = "Forecasting errors, TaxiBJ"
metrics = ["mse", "mae"]
figures = ["forecast"]
groups = {"TaxiBJ": {"dataset": "taxibj", "configs": "taxibj", "translator": "gSTA"}}
rows = {"SimVP": "SimVP_{translator}", "SimVP+SVQ": "SimVP_SVQ_{translator}"}
