# DMVFN as OpenSTL 0.3.0 trains it; the blocks are the model's defaults.
method = "dmvfn"
perceptual_weight = 0.5  # needs VGG-19's weights; 0 trains without
batch_size = 16
patience = 10
