"""Weights of a formula, so that a model built anywhere has the same (tests/parity/README.md)."""

import hashlib
import zlib

import numpy as np
import torch

SCALES = {"gamma", "gamma1", "gamma2", "gamma_1", "gamma_2", "layer_scale_1", "layer_scale_2", "sigma"}
CONSTANTS = ("_M", "_invM")  # PhyDNet's moment matrices


def fill(model):
    """Replaces all weights by the formula, in the model's dtype."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if _is_filled(name, tensor):
                tensor.copy_(torch.from_numpy(np.asarray(filled_value(name, tuple(tensor.shape)), dtype=np.float32)))
    return model


def filled_value(name, shape):
    g = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    leaf = name.rpartition(".")[2]
    if leaf == "running_mean" or leaf == "bias":
        return 0.1 * g
    if leaf == "running_var":
        return 0.75 + abs(g)
    if leaf in SCALES:
        return 0.5 + 0.05 * g
    if leaf in ("relative_position_bias_table", "ct_weight", "oc_weight"):
        return 0.5 * g
    return 1 + 0.1 * g if len(shape) == 1 else 0.9 * g / np.sqrt(np.prod(shape[1:]))


def digest(model):
    """What tells a different filling from a different model."""
    found = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        if _is_filled(name, tensor):
            found.update(name.encode() + tensor.numpy().astype("<f4").tobytes())
    return found.hexdigest()


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).to(dtype)


def _is_filled(name, tensor):
    return tensor.is_floating_point() and not name.rpartition(".")[2].startswith(CONSTANTS)
