"""The quantizer classes of vector-quantize-pytorch under this project's contract.

The package is imported when such a quantizer is built, and not before.
"""

import copy
import importlib
import inspect
import itertools
import math
import traceback
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..naming import unknown
from .base import Quantizer, QuantizerOutput, full_precision, zero_loss
from .checks import check_number, check_positive, check_settings
from .memory import default_device, require_memory
from .usage import index_usage

PACKAGE = "vector-quantize-pytorch"

# A class that passes further settings on, and the class they go to.
_PASSES_TO = {
    "ResidualVQ": "VectorQuantize",
    "GroupedResidualVQ": "ResidualVQ",
    "ResidualSimVQ": "SimVQ",
    "ResidualLFQ": "LFQ",
    "GroupedResidualLFQ": "ResidualLFQ",
    "ResidualFSQ": "FSQ",
    "GroupedResidualFSQ": "ResidualFSQ",
}

NOT_A_QUANTIZER = {
    "RandomProjectionQuantizer": "it returns labels (indices of random projections) and no quantized latent",
    "BinaryMapper": "it returns one-hot vectors of 2^bits entries and no quantized latent",
    "EvoLFQ": "it is an autoencoder around LFQ: use LFQ",
    "Sequential": "it chains modules: use the quantizer it would hold",
    "BSQ": "vector-quantize-pytorch has binary spherical quantization as LFQ: use LFQ with spherical=True",
}

# Which axes mean what is the adapter's business.
_LAYOUT = {
    "dim",
    "channel_last",
    "channel_first",
    "is_channel_first",
    "accept_image_fmap",
    "accept_3d_fmap",
    "keep_num_codebooks_dim",
    "return_indices",
}

_TRIAL = (8, 8)  # height and width of a latent
_COUNTS = ("num_quantizers", "groups", "heads", "num_codebooks")
_SIZES = {"codebook_size", "codebook_dim", "frozen_codebook_dim", "kmeans_iters", *_COUNTS}
_WEIGHTS = {
    "commitment_weight",
    "commitment_loss_weight",
    "entropy_loss_weight",
    "orthogonal_reg_weight",
    "codebook_diversity_loss_weight",
}


def library_classes() -> dict[str, type[nn.Module]]:
    """Name -> class of what the installed vector-quantize-pytorch has; empty if it is not installed."""
    try:
        package = importlib.import_module(PACKAGE.replace("-", "_"))
    except ImportError:
        return {}
    return {name: cls for name, cls in vars(package).items() if isinstance(cls, type) and issubclass(cls, nn.Module)}


class LibraryQuantizer(Quantizer):
    """A class of vector-quantize-pytorch as a `Quantizer`.

    It runs in float32 (or the module's own precision), whatever autocast says. In evaluation mode the library reports
    no auxiliary loss, and most of its classes pass no gradient on to the latent. In distributed training, codebooks
    that are moving averages follow the batches of all processes (see `processes_started`).

    Args:
        dim: channels of the latent.
        library_class: name of the class.
        aux_loss_weight: factor of the auxiliary loss, which is the mean over quantizers and groups of the library's
            (already weighted by its own ``commitment_weight``, ``entropy_loss_weight``, ...).
        settings: of the class, and of the class it passes settings on to.

    Attributes:
        library: the module of vector-quantize-pytorch.
        codebook_size: codes per codebook; a tuple where they differ; None if the class does not say, and then the share
            of codes in use is that among the codes up to the largest seen.

    Raises:
        ImportError: vector-quantize-pytorch is not installed.
        ValueError: no such class, one that is no quantizer of latents, or a setting it does not have or cannot take.

    `usage` of the output: perplexity and share of codes in use, from indices; see `index_usage`.
    """

    def __init__(self, dim: int, library_class: str, aux_loss_weight: float = 1.0, **settings):
        super().__init__(dim)
        self.aux_loss_weight = check_number("aux_loss_weight", aux_loss_weight)
        self.library_class = library_class
        _find(library_class)
        if isinstance(settings.get("codebook_size"), list):  # as a config file or the command line writes a tuple
            settings["codebook_size"] = tuple(settings["codebook_size"])
        _check_settings(library_class, self.dim, settings)
        if library_class == "HierarchicalVQ":
            settings["accept_image_fmap"] = True
        self._settings = settings
        self.library = self._build()
        sizes = getattr(self.library, "codebook_sizes", None) or (
            settings.get("codebook_size") or getattr(self.library, "codebook_size", None),
        )
        self.codebook_size = sizes if len(set(sizes)) > 1 else sizes[0]
        self._bytes_per_token_and_code = _bytes_per_token_and_code(library_class, settings)
        self._try_once()

    def _build(self, **more) -> nn.Module:
        settings = {"dim": self.dim, **self._settings, **more}
        try:
            return _find(self.library_class)(**settings)
        except Exception as error:  # the library does not check its settings: they fail where they are used
            raise self._not_valid(error) from error

    def _try_once(self) -> None:
        """A step of training on a copy: many settings that cannot work show there, and not before."""
        if self._settings.get("sync_codebook") and not _distributed():
            raise ValueError("sync_codebook follows the processes by itself; leave it out, or set it to False.")
        if default_device().type == "meta":
            return
        self.check_memory(_TRIAL[0] * _TRIAL[1])
        trial = copy.deepcopy(self).train()
        with torch.random.fork_rng(devices=[]), torch.no_grad(), full_precision(default_device()):
            latent = torch.randn(1, self.dim, *_TRIAL, dtype=self._dtype, device="cpu").to(default_device())
            try:
                trial._run(latent)
            except Exception as error:
                raise self._not_valid(error) from error

    def _not_valid(self, error: Exception) -> ValueError:
        reason = (
            str(error) or traceback.extract_tb(error.__traceback__)[-1].line
        )  # the library asserts without messages
        written = ", ".join(f"{name}={value!r}" for name, value in {"dim": self.dim, **self._settings}.items())
        return ValueError(f"{self.library_class}({written}) is not valid: {reason}")

    def processes_started(self) -> None:
        """Has codebooks that are moving averages follow all processes, unless ``sync_codebook`` says otherwise.

        The library decides that when it builds a module, and Lightning starts the processes later: so the module is
        built once more, with the values it had.
        """
        if _distributed() and "sync_codebook" in _parameters(self.library_class) - self._settings.keys():
            state, mode = self.state_dict(), self.training
            device = next(itertools.chain(self.library.parameters(), self.library.buffers())).device
            self.library = self._build(sync_codebook=True).to(device).train(mode)
            self.load_state_dict(state)

    def quantize(self, z: Tensor, *, return_codes: bool, return_usage: bool) -> QuantizerOutput:
        self.check_memory(z.shape[0] * z.shape[2] * z.shape[3])
        with full_precision(z.device):
            quantized, slots, loss = self._run(z.to(self._dtype))
        return QuantizerOutput(
            quantized.to(z.dtype),
            zero_loss(z) + self.aux_loss_weight * loss,
            indices=torch.stack([_spread(slot, z.shape[2:]) for slot in slots], -1) if return_codes else None,
            usage=index_usage(slots, self._sizes(len(slots))) if return_usage else None,
        )

    def _run(self, z: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
        """Quantized (N, C, H, W); per slot the indices, (N, h, w) each; loss."""
        n, c, h, w = z.shape
        if self.library_class == "HierarchicalVQ":
            quantized, slots, loss = self.library(z)
            return quantized, list(slots), loss
        channels_first = self.library_class == "LatentQuantize"
        tokens = z.flatten(2) if channels_first else z.flatten(2).transpose(1, 2).contiguous()  # (N, HW, C) as a rule
        output = self.library(tokens)
        if not isinstance(output, tuple) or len(output) < 2 or output[0].shape != tokens.shape:
            raise ValueError(
                f"{self.library_class} does not return (quantized, indices, ...) with the shape of its "
                f"input, so it cannot stand in a model; other classes: {', '.join(usable_classes())}"
            )
        quantized, indices, *rest = output
        loss = next((t.mean() for t in rest if torch.is_tensor(t)), z.new_zeros(()))
        quantized = (quantized if channels_first else quantized.transpose(1, 2)).reshape(n, c, h, w)
        if self.library_class.startswith("Grouped"):  # (groups, N, HW, quantizers)
            indices = indices.movedim(0, -1)
        return quantized, list(indices.reshape(n, h, w, -1).long().unbind(-1)), loss

    @property
    def _dtype(self) -> torch.dtype:
        tensors = itertools.chain(self.library.parameters(), self.library.buffers())
        return next((t.dtype for t in tensors if t.is_floating_point()), torch.float32)

    def _sizes(self, slots: int) -> list[int]:
        """The number of codes of each slot; slots of one quantizer stand together."""
        sizes = self.codebook_size if isinstance(self.codebook_size, tuple) else (self.codebook_size,)
        return [size or 0 for size in sizes for _ in range(slots // len(sizes))]

    def check_memory(self, tokens: int) -> None:
        if self.training and self._bytes_per_token_and_code:
            device = next(self.library.buffers()).device
            require_memory(
                tokens * self._bytes_per_token_and_code,
                max(self.codebook_size) if isinstance(self.codebook_size, tuple) else self.codebook_size or 0,
                device,
                f"a training step of {self.library_class} over {tokens} tokens",
                "codebook_size",
                "Use a smaller codebook or batch.",
            )

    def _load_from_state_dict(self, state_dict, prefix, *args):
        # Some buffers come into being at the first training step (affine_param): make room for saved ones.
        for path, module in self.named_modules():
            for name, buffer in list(module._buffers.items()):
                saved = state_dict.get(f"{prefix}{path}.{name}")
                if buffer is None and saved is not None:
                    module.register_buffer(name, torch.empty_like(saved))
        super()._load_from_state_dict(state_dict, prefix, *args)


def _distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _find(name: str) -> type[nn.Module]:
    classes = library_classes()
    if not classes:
        raise ImportError(f"the quantizer {name} needs the package {PACKAGE}: pip install {PACKAGE}")
    if name in NOT_A_QUANTIZER:
        raise ValueError(f"{name} cannot stand in a model: {NOT_A_QUANTIZER[name]}")
    if name not in classes:
        raise ValueError(unknown(f"class of {PACKAGE}:", name, usable_classes()))
    return classes[name]


def usable_classes() -> list[str]:
    """Names of the classes that quantize latents."""
    return [name for name in library_classes() if name not in NOT_A_QUANTIZER]


def _spread(indices: Tensor, size: Sequence[int]) -> Tensor:
    """(N, h, w) -> (N, H, W): every token gets the code of the cell that covers it."""
    for axis, target in enumerate(size, start=1):
        source = torch.arange(target, device=indices.device) * indices.shape[axis] // target
        indices = indices.index_select(axis, source)
    return indices


def _chain(name: str) -> list[str]:
    """The class and those it passes settings on to."""
    return [name, *_chain(_PASSES_TO[name])] if name in _PASSES_TO else [name]


def _parameters(name: str) -> set[str]:
    """What the class and those it passes settings on to can be given."""
    classes = library_classes()
    return {
        p
        for c in _chain(name)
        for p, kind in inspect.signature(classes[c]).parameters.items()
        if kind.kind is not kind.VAR_KEYWORD
    }


def _check_settings(name: str, dim: int, settings: dict) -> None:
    """What the trial cannot see: names and numbers that the library takes in silence, and sizes that would fill the
    memory before they fail."""
    check_settings(name, settings, _parameters(name) - _LAYOUT)
    given = {setting: value for setting, value in settings.items() if value is not None}
    for setting in _SIZES & given.keys():
        value = given[setting]
        for number in value if isinstance(value, tuple) else [value]:
            check_positive(setting, number)
    for setting in _WEIGHTS & given.keys():
        check_number(setting, given[setting])
    if check_number("decay", given.get("decay", 0)) > 1:
        raise ValueError(f"decay must lie between 0 and 1, got {given['decay']}; the nearest valid value is 1")
    size, levels = given.get("codebook_size"), given.get("levels")
    if "LFQ" in _chain(name) and isinstance(size, int) and size.bit_count() + (size < 2) != 1:
        raise ValueError(f"codebook_size of {name} must be a power of 2, at least 2, got {size}")
    if levels is not None and not (
        isinstance(levels, (list, tuple)) and levels and all(type(n) is int and n > 1 for n in levels)
    ):
        raise ValueError(f"levels must be a list of integers of at least 2, one per dimension, got {levels!r}")
    _require_codebook_memory(name, dim, given)


def _require_codebook_memory(name: str, dim: int, settings: dict) -> None:
    chain = _chain(name)
    remedy = "Use fewer codes."
    if isinstance(settings.get("levels"), (list, tuple)):
        size, width, what = math.prod(settings["levels"]), 2 * len(settings["levels"]), "product of levels"
    elif settings.get("codebook_size") is not None:
        sizes = settings["codebook_size"]
        size, what = max(sizes) if isinstance(sizes, tuple) else sizes, "codebook_size"
        # LFQ holds the bits of every code; the others a code and what its update needs.
        width = size.bit_length() if "LFQ" in chain else 2 * (settings.get("codebook_dim") or dim)
    else:
        return
    for count in _COUNTS:  # modules of their own, or codebooks of their own: a few hundred bytes each at least
        require_memory(512, settings.get(count) or 1, default_device(), f"the {count} of {name}", count, remedy)
    width *= 1 if settings.get("shared_codebook") else settings.get("num_quantizers") or 1
    width *= (settings.get("heads") or 1) if settings.get("separate_codebook_per_head") else 1
    require_memory(4 * width, size, default_device(), f"a codebook of {name}", what, remedy)


def _bytes_per_token_and_code(name: str, settings: dict) -> int:
    """What a training step holds, at least, for every pair of a token and a code."""
    chain = _chain(name)
    if "VectorQuantize" in chain or name == "HierarchicalVQ":
        return 16 * settings.get("heads", 1)  # distance and one-hot code in float32, the latter once in int64
    if "LFQ" in chain:
        return 16 * settings.get("num_quantizers", 1)  # distance, probability, its logarithm and product, per quantizer
    return 0
