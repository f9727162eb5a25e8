# PhyDNet (Le Guen & Thome 2020).
method = "phydnet"
patch_size = 4
batch_size = 16  # in all: with several devices, divide it by their number
patience = 10
