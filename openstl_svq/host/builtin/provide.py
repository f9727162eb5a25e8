"""The names that ``openstl_svq.host`` hands out when the built-in host runs."""

from argparse import Namespace

import torch
from torch import nn

from ...data.registry import Entry, follow, load_data
from .core import get_optim_scheduler, metric
from .methods import TAU, Base_method, SimVP, method_maps
from .models import SimVP_Model
from .utils import create_parser

__all__ = [
    "LOADER_KEYS",
    "METHOD_KEYS",
    "TAU",
    "Base_method",
    "SimVP",
    "SimVP_Model",
    "create_parser",
    "dataset_parameters",
    "example_input",
    "get_optim_scheduler",
    "load_data",
    "method_maps",
    "metric",
]

dataset_parameters: dict[str, Entry] = follow({})

# Nothing beside what the classes of the methods and the entries of the datasets say.
METHOD_KEYS: dict[str, set[str]] = {}
LOADER_KEYS: set[str] = set()


def example_input(args: Namespace, method: nn.Module) -> torch.Tensor:
    """One input for ``method.model``, of shape ``(1, T, C, H, W)``, to count its cost with."""
    return torch.ones(1, *args.in_shape)
