"""Quantizers of spatio-temporal latents. Pure PyTorch: (N, C, H, W) in, a `QuantizerOutput` out.

One quantizer is one file of this folder: every module here is imported, and its decorator puts the class into the
registry. The class is then a name of this package too.
"""

from .base import Quantizer, QuantizerOutput
from .library import LibraryQuantizer
from .registry import QUANTIZERS, build_quantizer, list_quantizers, register_quantizer
from .svq import SVQ, FusedSVQ
from .usage import WeightStatistics, index_usage, perplexity

_CLASSES = {QUANTIZERS[name].__name__: QUANTIZERS[name] for name in QUANTIZERS}
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
