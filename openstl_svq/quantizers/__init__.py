"""Quantizers of spatio-temporal latents. Pure PyTorch: (N, C, H, W) in, a `QuantizerOutput` out.

One quantizer is one file of this folder: every module here is imported, and its decorator puts the class into the
registry. The class is then a name of this package too.
"""

import importlib
import pkgutil

from .base import Quantizer, QuantizerOutput
from .library import LibraryQuantizer
from .registry import _REGISTRY, build_quantizer, list_quantizers, register_quantizer
from .svq import SVQ, FusedSVQ
from .usage import WeightStatistics, index_usage, perplexity

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
_CLASSES = {entry.cls.__name__: entry.cls for entry in _REGISTRY.values()}
globals().update(_CLASSES)

__all__ = [
    "SVQ",
    "FusedSVQ",
    "LibraryQuantizer",
    "Quantizer",
    "QuantizerOutput",
    "WeightStatistics",
    "build_quantizer",
    "index_usage",
    "list_quantizers",
    "perplexity",
    "register_quantizer",
]
__all__ += sorted(_CLASSES.keys() - {*__all__})
