# What --scale sample changes in every run: data that can be had anywhere, and sizes for which a minute is enough.
# Datasets that are not named here are made: small, synthetic, in the layout of the real one.
datasets = {"weather_t2m_5_625": "weather_sample_4_4_s6"}
options = {
    "batch_size": 8,
    "val_batch_size": 8,
    "epoch": 2,
    "hid_S": 4,
    "hid_T": 16,
    "N_S": 2,
    "N_T": 2,
    "num_hidden": "8,8",
    "num_workers": 0,
    "warmup_epoch": 0,
}
