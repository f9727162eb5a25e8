# The PredRNN family: four layers, and the schedule of reverse scheduled sampling, which PredRNN.V2 alone uses.
_base_ = "scheduled.py"
num_hidden = "128,128,128,128"
patch_size = 2
reverse_scheduled_sampling = 0
r_sampling_step_1 = 25_000
r_sampling_step_2 = 50_000
r_exp_alpha = 5_000
