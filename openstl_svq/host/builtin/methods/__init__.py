from .base_method import Base_method
from .simvp import SimVP
from .tau import TAU

method_maps = {"simvp": SimVP, "tau": TAU}

__all__ = ["TAU", "Base_method", "SimVP", "method_maps"]
