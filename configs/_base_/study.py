# A run of docs/study.md: a day of the packaged weather from the day before, in about a minute of one CPU core.
_base_ = "weather.py"
method = "simvp_svq"  # SVQ as published: 10,000 codes, 128 hidden units, before the translator
loss = "mae"
model_type = "gSTA"
hid_S = 8
hid_T = 32
N_S = 4
N_T = 2
mlp_ratio = 4.0
drop_path = 0.0
batch_size = 8
lr = 5e-3
epoch = 2
num_workers = 0
usage_interval = 20
