# Table 14: TaxiBJ.
title = "TaxiBJ"
metrics = ["mse", "mae", "ssim", "psnr"]
groups = {"TaxiBJ": {"dataset": "taxibj", "configs": "taxibj", "translator": "gSTA"}}
rows = {
    "ConvLSTM": "ConvLSTM",
    "E3D-LSTM": "E3DLSTM",
    "PhyDNet": "PhyDNet",
    "PredNet": "PredNet",
    "PredRNN": "PredRNN",
    "MIM": "MIM",
    "MAU": "MAU",
    "DMVFN": "DMVFN",
    "PredRNN++": "PredRNNpp",
    "PredRNNv2": "PredRNNv2",
    "TAU": "TAU",
    "SimVP (w/o VQ)": "SimVP_{translator}",
    "SimVP+SVQ (Frozen)": "SimVP_SVQ_{translator}_frozen",
    "SimVP+SVQ (Learnable)": "SimVP_SVQ_{translator}",
}
baseline = {"row": "SimVP (w/o VQ)"}
