from .forecast import LOSSES, ForecastMethod, extended
from .svq import TAU_SVQ, SimVP_SVQ

__all__ = ["LOSSES", "TAU_SVQ", "ForecastMethod", "SimVP_SVQ", "extended"]
