"""Puts this package's methods into the host's registry."""

import inspect

from .host import method_keys, method_maps
from .methods import TAU_SVQ, SimVP_SVQ, extended
from .models import SimVP_SVQ_Model
from .naming import choose

METHODS = {"simvp_svq": SimVP_SVQ, "tau_svq": TAU_SVQ}

# Training with MAE is what makes the weights sparse (Section 3.2); the host's methods keep OpenSTL's loss.
_DEFAULTS = {
    "simvp_svq": {"loss": "mae"},
    "tau_svq": {"loss": "mae", "model_type": "tau", "alpha": 0.1},
    "tau": {"loss": "mse", "model_type": "tau", "alpha": 0.1},
}

# Keys of the data loaders that no dataset's entry need name.
_DATA_KEYS = {
    "in_shape",
    "pre_seq_length",
    "aft_seq_length",
    "total_length",
    "metrics",
    "data_name",
    "train_time",
    "val_time",
    "test_time",
    "idx_in",
    "idx_out",
    "step",
    "level",
}


def register() -> None:
    """Adds the methods to the host; a second call changes nothing.

    Raises:
        ValueError: somebody else has registered another method under one of the names.
    """
    for name, method in METHODS.items():
        owner = method_maps.setdefault(name, method)
        if owner is not method and not issubclass(owner, method):
            raise ValueError(
                f"the method name {name!r} is taken by {owner.__module__}.{owner.__qualname__}. Remove "
                "that registration, or import openstl_svq before it."
            )


def extend(name: str) -> type:
    """The method ``name`` with :class:`~openstl_svq.methods.ForecastMethod` in front, also in the host's registry.

    Raises:
        ValueError: this host has no such method.
    """
    choose("method (some are in the real OpenSTL alone)", name, method_maps)
    method_maps[name] = extended(method_maps[name])
    return method_maps[name]


def method_defaults(name: str) -> dict:
    """Defaults that differ by method; a file or the command line changes them."""
    return _DEFAULTS.get(name, {"loss": "mse"})


def config_keys(method: str) -> set[str]:
    """The keys that ``method`` and the loaders read beside the command line's and the dataset entry's."""
    if method in METHODS:
        keys = set(inspect.signature(SimVP_SVQ_Model).parameters)
        return keys | _DATA_KEYS | ({"alpha"} if method == "tau_svq" else set())
    return method_keys(method) | _DATA_KEYS
