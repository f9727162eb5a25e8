# PredNet as OpenSTL 0.3.0 trains it; the layers are the model's defaults.
method = "prednet"
weight_mode = "L_0"
batch_size = 16
patience = 10
