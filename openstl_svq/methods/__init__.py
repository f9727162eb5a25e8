"""Methods, a record each: Lightning modules that train and test a network.

One method is one file here; importing the file registers it.
"""

from .forecast import ForecastMethod
from .registry import METHODS, Method, all_methods, get_method, list_methods, register_method

__all__ = ["ForecastMethod", "Method", "all_methods", "get_method", "list_methods", "register_method"]

METHODS.load()
