from .forecast import LOSSES, ForecastMethod, extended
from .svq import SimVP_SVQ, TAU_SVQ

__all__ = ["LOSSES", "ForecastMethod", "SimVP_SVQ", "TAU_SVQ", "extended"]
