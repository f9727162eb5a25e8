from .base_method import Base_method
from .convlstm import ConvLSTM
from .e3dlstm import E3DLSTM
from .mau import MAU
from .mim import MIM
from .phydnet import PhyDNet
from .predrnn import PredRNN
from .predrnnpp import PredRNNpp
from .predrnnv2 import PredRNNv2
from .simvp import SimVP
from .tau import TAU

method_maps = {
    "convlstm": ConvLSTM,
    "e3dlstm": E3DLSTM,
    "mau": MAU,
    "mim": MIM,
    "phydnet": PhyDNet,
    "predrnn": PredRNN,
    "predrnnpp": PredRNNpp,
    "predrnnv2": PredRNNv2,
    "simvp": SimVP,
    "tau": TAU,
}

__all__ = [
    "E3DLSTM",
    "MAU",
    "MIM",
    "TAU",
    "Base_method",
    "ConvLSTM",
    "PhyDNet",
    "PredRNN",
    "PredRNNpp",
    "PredRNNv2",
    "SimVP",
    "method_maps",
]
