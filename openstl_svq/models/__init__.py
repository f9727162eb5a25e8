from .simvp_svq import SimVP_SVQ_Model

__all__ = ["SimVP_SVQ_Model"]
