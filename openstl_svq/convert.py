"""Weights of OpenSTL and of the authors' released SVQ code, under this package's names."""

import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from .host import SimVP_Model
from .methods import all_methods
from .training.checkpoint import save

# Wrappers put these in front of every key: Lightning's methods, data parallelism, torch.compile.
_WRAPPERS = ("model.", "module.", "_orig_mod.")

# Constants that timm < 0.9 kept in the state dict of a Swin block and newer versions compute.
_SWIN_CONSTANTS = re.compile(r"\.(attn\.relative_position_index|attn_mask)$")

_AUTHORS_QUANTIZER = "vq.vq."
_AUTHORS_SVQ = f"{_AUTHORS_QUANTIZER}proj_regression_weight."

# Flags of OpenSTL that it saves and nothing reads.
_NOT_OURS = {"torchscript", "use_prefetcher"}

_PARTS = ("enc.", "hid.", "dec.", "quantizer.")


def convert_state_dict(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights with the keys of :class:`~openstl_svq.models.SimVP_SVQ_Model`.

    ::

        model.*, module.*, _orig_mod.*               -> *
        vq.vq.proj_regression_weight.linear_proj.*   -> quantizer.proj_in.*   (one-layer variant: quantizer.proj_out.*)
        vq.vq.proj_regression_weight.linear_proj2.*  -> quantizer.proj_out.*
        vq.vq.codebook                               -> quantizer.codebook
        vq.vq.* (their baselines)                    -> quantizer.library.*
        enc.*, hid.*, dec.*, quantizer.*             -> as they are
        hid.*.attn.relative_position_index, hid.*.attn_mask (Swin with timm < 0.9) are left out

    Keys that are this package's already stay as they are, so converting twice changes nothing.

    Args:
        state_dict: of SimVP or TAU (OpenSTL), SimVPVQ (the authors'), or this package's models; of the model or of the
            whole method.

    Raises:
        ValueError: a key that belongs to none of these, or two keys that become one.
    """
    if any(_AUTHORS_SVQ in key for key in state_dict):
        two_layers = any(f"{_AUTHORS_SVQ}linear_proj2." in key for key in state_dict)
        renamed = {
            f"{_AUTHORS_SVQ}linear_proj.": "quantizer.proj_in." if two_layers else "quantizer.proj_out.",
            f"{_AUTHORS_SVQ}linear_proj2.": "quantizer.proj_out.",
            f"{_AUTHORS_QUANTIZER}codebook": "quantizer.codebook",
        }
    else:
        renamed = {_AUTHORS_QUANTIZER: "quantizer.library."}

    converted: dict[str, Tensor] = {}
    for key, value in state_dict.items():
        name = _unwrapped(key)
        if _SWIN_CONSTANTS.search(name):
            continue
        old = next(filter(name.startswith, renamed), "")
        name = renamed.get(old, "") + name.removeprefix(old)
        if not name.startswith(_PARTS):
            raise ValueError(
                f"the weight {key!r} has no place in SimVP with a quantizer, which has "
                f"{', '.join(_PARTS)} (the authors' {_AUTHORS_QUANTIZER} for the last). Is this the "
                "checkpoint of another method?"
            )
        if name.endswith("._codebook.initted"):  # a flag that vector-quantize-pytorch once kept as an array of one
            value = value.reshape(())
        if name in converted:
            raise ValueError(
                f"two weights are called {name!r} once converted, {key!r} and another: "
                "the file mixes the keys of two models."
            )
        converted[name] = value
    return converted


def _is_simvp(method: str | None, weights: Iterable[str]) -> bool:
    """By the method's record; by the weights' names where this host has no such method (the authors' SimVPVQ)."""
    record = None if method is None else all_methods().get(str(method).lower())
    if record is None:
        return method is None or all(_unwrapped(key).startswith((*_PARTS, _AUTHORS_QUANTIZER)) for key in weights)
    return record.model_cls is not None and issubclass(record.model_cls, SimVP_Model)


def _unwrapped(key: str) -> str:
    while key.startswith(_WRAPPERS):
        key = key.partition(".")[2]
    return key


def convert_checkpoint(source: str | Path, target: str | Path, *, trust: bool = False) -> dict[str, Tensor]:
    """Writes the checkpoint file ``source`` to ``target`` as one of this package; returns its weights.

    The weights, under the names that a method has, and the configuration if there is one; nothing to resume training
    from. Weights of methods other than the SimVP family keep their names.

    Args:
        source: checkpoint of OpenSTL (any method), of the authors' code, or of this package; or weights alone.
        target: file to write.
        trust: read ``source`` with pickle if it holds more than tensors and plain values. That can run any code.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, or not without trust, or its weights are not those of a method.
        OSError: ``target`` could not be written.
    """
    checkpoint = _read(Path(source), trust)
    config = dict(checkpoint.get("hyper_parameters") or {})
    weights = checkpoint.get("state_dict", checkpoint)
    if not weights or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ValueError(f"{source} holds no weights: neither a 'state_dict' nor tensors by name.")
    if _is_simvp(config.get("method"), weights):
        weights = {f"model.{name}": value for name, value in convert_state_dict(weights).items()}
    for key in _NOT_OURS & config.keys():
        del config[key]
    save({"state_dict": weights, **({"hyper_parameters": config} if config else {})}, target)
    return weights


def _read(path: Path, trust: bool) -> Mapping:
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path} does not exist.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=not trust)
    except Exception as error:  # what torch raises for a damaged file is not specified
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        if isinstance(error, pickle.UnpicklingError) and not trust:
            raise ValueError(
                f"checkpoint {path} is refused: it is damaged or holds more than tensors and plain "
                f"values, and then loading it could run any code ({reason}). If you trust where it comes "
                "from, add --trust."
            ) from error
        raise ValueError(f"checkpoint {path} cannot be read: {reason}") from error
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} is no checkpoint: it holds a {type(content).__name__}, not weights by name.")
    return content
