"""Quantizers of spatio-temporal latents. Pure PyTorch: (N, C, H, W) in, a `QuantizerOutput` out.

One quantizer is one file; its import below puts it into the registry.
"""

from .base import Quantizer, QuantizerOutput
from .grouped_residual_vq import GroupedResidualVQ
from .lfq import LFQ
from .library import LibraryQuantizer
from .mlp import MLP
from .multi_headed_vq import MultiHeadedVQ
from .registry import build_quantizer, list_quantizers, register_quantizer
from .residual_fsq import ResidualFSQ
from .residual_lfq import ResidualLFQ
from .residual_vq import ResidualVQ
from .residual_vq_stochastic import StochasticResidualVQ
from .svq import SVQ, FusedSVQ
from .svq_raw import SVQRaw
from .usage import WeightStatistics, index_usage, perplexity
from .vq import VQ

__all__ = [
    "LFQ",
    "MLP",
    "SVQ",
    "VQ",
    "FusedSVQ",
    "GroupedResidualVQ",
    "LibraryQuantizer",
    "MultiHeadedVQ",
    "Quantizer",
    "QuantizerOutput",
    "ResidualFSQ",
    "ResidualLFQ",
    "ResidualVQ",
    "SVQRaw",
    "StochasticResidualVQ",
    "WeightStatistics",
    "build_quantizer",
    "index_usage",
    "list_quantizers",
    "perplexity",
    "register_quantizer",
]
