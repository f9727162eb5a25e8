# TAU: SimVP with temporal attention, and a loss on the frame differences.
method = "tau"
model_type = "tau"
alpha = 0.1  # weight of the loss on the frame differences
