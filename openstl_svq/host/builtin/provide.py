"""The names that ``openstl_svq.host`` hands out when the built-in host runs."""

import inspect

import torch

from ...data.registry import Entry, follow, load_data
from .api import BaseExperiment
from .core import get_optim_scheduler, metric
from .methods import TAU, Base_method, SimVP, method_maps
from .models import SimVP_Model
from .utils import create_parser

__all__ = [
    "TAU",
    "BaseExperiment",
    "Base_method",
    "SimVP",
    "SimVP_Model",
    "create_parser",
    "dataset_parameters",
    "example_input",
    "get_optim_scheduler",
    "load_data",
    "method_keys",
    "method_maps",
    "metric",
]

dataset_parameters: dict[str, Entry] = follow({})


def method_keys(method: str) -> set[str]:
    """The configuration keys that the method named ``method`` reads beside the command line's."""
    model_class = method_maps[method].model_class
    keys = set(inspect.signature(model_class).parameters)
    return keys | {"alpha"} if issubclass(method_maps[method], TAU) else keys


def example_input(args, method) -> torch.Tensor:
    """One input for ``method.model``, of shape ``(1, T, C, H, W)``, to count its cost with."""
    return torch.ones(1, *args.in_shape)
