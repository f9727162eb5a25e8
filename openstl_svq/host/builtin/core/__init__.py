from .metrics import metric
from .optim_scheduler import get_optim_scheduler

__all__ = ["get_optim_scheduler", "metric"]
