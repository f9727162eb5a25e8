# Table 2: video prediction.
title = "Video prediction"
metrics = ["mae", "ssim", "psnr", "lpips"]
groups = {
    "Human3.6M": {"dataset": "human", "configs": "human", "translator": "gSTA", "without": ["DMVFN"]},
    "KittiCaltech": {"dataset": "kitticaltech", "configs": "kitticaltech", "translator": "gSTA"},
    "KTH": {"dataset": "kth", "configs": "kth", "translator": "IncepU"},
}
rows = {
    "ConvLSTM": "ConvLSTM",
    "E3D-LSTM": "E3DLSTM",
    "PredNet": "PredNet",
    "PhyDNet": "PhyDNet",
    "MAU": "MAU",
    "MIM": "MIM",
    "PredRNN": "PredRNN",
    "PredRNN++": "PredRNNpp",
    "PredRNNv2": "PredRNNv2",
    "TAU": "TAU",
    "DMVFN": "DMVFN",
    "SimVP (w/o VQ)": "SimVP_{translator}",
    "SimVP+SVQ (Frozen)": "SimVP_SVQ_{translator}_frozen",
    "SimVP+SVQ (Learnable)": "SimVP_SVQ_{translator}",
}
baseline = {"row": "SimVP (w/o VQ)"}
