"""Quantizers of spatio-temporal latents. Pure PyTorch: (N, C, H, W) in, a `QuantizerOutput` out."""

from .base import Quantizer, QuantizerOutput
from .registry import build_quantizer, list_quantizers, register_quantizer
from .svq import SVQ, FusedSVQ
from .usage import WeightStatistics, perplexity

__all__ = ["SVQ", "FusedSVQ", "Quantizer", "QuantizerOutput", "WeightStatistics", "build_quantizer", "list_quantizers",
           "perplexity", "register_quantizer"]
