"""Weights of OpenSTL and of the authors' released SVQ code, under this package's names."""

import re
from collections.abc import Mapping

from torch import Tensor

# Wrappers put these in front of every key: Lightning's methods, data parallelism, torch.compile.
_WRAPPERS = ("model.", "module.", "_orig_mod.")

# Constants that timm < 0.9 kept in the state dict of a Swin block and newer versions compute.
_SWIN_CONSTANTS = re.compile(r"\.(attn\.relative_position_index|attn_mask)$")

_AUTHORS_SVQ = "vq.vq."
_PARTS = ("enc.", "hid.", "dec.", "quantizer.")


def convert_state_dict(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights with the keys of :class:`~openstl_svq.models.SimVP_SVQ_Model`.

    ::

        model.*, module.*, _orig_mod.*               -> *
        vq.vq.proj_regression_weight.linear_proj.*   -> quantizer.proj_in.*   (quantizer.proj_out.* in the one-layer variant)
        vq.vq.proj_regression_weight.linear_proj2.*  -> quantizer.proj_out.*
        vq.vq.codebook                               -> quantizer.codebook
        enc.*, hid.*, dec.*, quantizer.*             -> as they are
        hid.*.attn.relative_position_index, hid.*.attn_mask (Swin with timm < 0.9) are left out

    Keys that are this package's already stay as they are, so converting twice changes nothing.

    Args:
        state_dict: of SimVP (OpenSTL), SimVPVQ (the authors'), or this package's models; of the model or the whole method.

    Raises:
        ValueError: a key that belongs to none of these, or two keys that become one.
    """
    projections = {"linear_proj2": "proj_out"}
    two_layers = any("proj_regression_weight.linear_proj2." in key for key in state_dict)
    projections["linear_proj"] = "proj_in" if two_layers else "proj_out"

    converted: dict[str, Tensor] = {}
    for key, value in state_dict.items():
        name = _unwrapped(key)
        if _SWIN_CONSTANTS.search(name):
            continue
        if name == _AUTHORS_SVQ + "codebook":
            name = "quantizer.codebook"
        elif found := re.fullmatch(re.escape(_AUTHORS_SVQ) + r"proj_regression_weight\.(linear_proj2?)\.(weight|bias)", name):
            name = f"quantizer.{projections[found[1]]}.{found[2]}"
        elif not name.startswith(_PARTS):
            raise ValueError(f"the weight {key!r} has no place in SimVP with a quantizer. Known are {', '.join(_PARTS)} "
                             f"and the authors' {_AUTHORS_SVQ}proj_regression_weight.* and {_AUTHORS_SVQ}codebook: is this "
                             "the checkpoint of another method, or of another quantizer than SVQ?")
        if name in converted:
            raise ValueError(f"two weights are called {name!r} once converted, {key!r} and another: "
                             "the file mixes the keys of two models.")
        converted[name] = value
    return converted


def _unwrapped(key: str) -> str:
    while key.startswith(_WRAPPERS):
        key = key.partition(".")[2]
    return key
