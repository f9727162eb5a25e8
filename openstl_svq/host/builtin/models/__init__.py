"""Models of the built-in host."""

from .convlstm import ConvLSTM_Model
from .e3dlstm import E3DLSTM_Model
from .mau import MAU_Model
from .mim import MIM_Model
from .phydnet import PhyDNet_Model
from .predrnn import PredRNN_Model
from .predrnnpp import PredRNNpp_Model
from .predrnnv2 import PredRNNv2_Model
from .simvp_model import SimVP_Model

__all__ = [
    "ConvLSTM_Model",
    "E3DLSTM_Model",
    "MAU_Model",
    "MIM_Model",
    "PhyDNet_Model",
    "PredRNN_Model",
    "PredRNNpp_Model",
    "PredRNNv2_Model",
    "SimVP_Model",
]
