# What the recurrent methods share: kernels, and scheduled sampling with OpenSTL's schedule.
filter_size = 5
stride = 1
layer_norm = 0
scheduled_sampling = 1
sampling_changing_rate = 0.00002
sampling_stop_iter = 50_000
batch_size = 16  # in all: with several devices, divide it by their number
patience = 10
