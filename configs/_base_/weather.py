# WeatherBench's architecture and schedule (Table 10); OpenSTL trains 50 epochs.
_base_ = "simvp.py"
hid_S = 32
hid_T = 256
N_T = 8
N_S = 2
drop_path = 0.1
sched = "cosine"
epoch = 50
