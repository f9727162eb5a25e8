"""Methods, a record each: Lightning modules that train and test a network.

One method is one file here; importing the file registers it.
"""

import importlib
import pkgutil

from .forecast import LOSSES, ForecastMethod
from .registry import Method, all_methods, get_method, list_methods, register_method

__all__ = ["LOSSES", "ForecastMethod", "Method", "all_methods", "get_method", "list_methods", "register_method"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
