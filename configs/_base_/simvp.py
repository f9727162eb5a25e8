# What every SimVP of the paper shares (Section 5, Table 10, Appendix A.5).
method = "simvp"
spatio_kernel_enc = 3
spatio_kernel_dec = 3
batch_size = 16  # in all: with several devices, divide it by their number
patience = 10
