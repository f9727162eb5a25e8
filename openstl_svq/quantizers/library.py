"""The quantizer classes of vector-quantize-pytorch under this project's contract.

The package is imported when such a quantizer is built, and not before.
"""

import importlib
import inspect
import itertools
import math
import traceback

import torch
from torch import Tensor, nn

from ..naming import unknown
from .base import Quantizer, QuantizerOutput, from_tokens, full_precision, zero_loss
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
_LAYOUT = {"dim", "channel_last", "channel_first", "is_channel_first", "accept_image_fmap", "accept_3d_fmap",
           "keep_num_codebooks_dim", "return_indices"}

_SIZES = ("codebook_size", "num_quantizers", "groups", "heads", "num_codebooks", "codebook_dim", "frozen_codebook_dim",
          "kmeans_iters")


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
    no auxiliary loss. In distributed training, codebooks that are moving averages follow the batches of all processes
    (see `processes_started`).

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
            settings.get("codebook_size", getattr(self.library, "codebook_size", None)),)
        self.codebook_size = sizes if len(set(sizes)) > 1 else sizes[0]
        self._bytes_per_token_and_code = _bytes_per_token_and_code(library_class, settings)

    def _build(self, **more) -> nn.Module:
        settings = {"dim": self.dim, **self._settings, **more}
        try:
            return _find(self.library_class)(**settings)
        except (AssertionError, TypeError, ValueError) as error:  # the library asserts, often without a message
            reason = str(error) or traceback.extract_tb(error.__traceback__)[-1].line
            written = ", ".join(f"{name}={value!r}" for name, value in settings.items())
            raise ValueError(f"{self.library_class}({written}) is not valid: {reason}") from error

    def processes_started(self) -> None:
        """Has codebooks that are moving averages follow all processes, unless ``sync_codebook`` says otherwise.

        The library decides that when it builds a module, and Lightning starts the processes later: so the module is
        built once more, with the values it had.
        """
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        if distributed and "sync_codebook" in _parameters(self.library_class) - self._settings.keys():
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
            raise ValueError(f"{self.library_class} does not return (quantized, indices, ...) with the shape of its "
                             f"input, so it cannot stand in a model; other classes: {', '.join(usable_classes())}")
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
            codes = max(self.codebook_size) if isinstance(self.codebook_size, tuple) else self.codebook_size
            require_memory(tokens * self._bytes_per_token_and_code, codes, device,
                           f"a training step of {self.library_class} over {tokens} tokens", "codebook_size",
                           "Use a smaller codebook or batch.")

    def _load_from_state_dict(self, state_dict, prefix, *args):
        # Some buffers come into being at the first training step (affine_param): make room for saved ones.
        for path, module in self.named_modules():
            for name, buffer in list(module._buffers.items()):
                saved = state_dict.get(f"{prefix}{path}.{name}")
                if buffer is None and saved is not None:
                    module.register_buffer(name, torch.empty_like(saved))
        super()._load_from_state_dict(state_dict, prefix, *args)


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


def _spread(indices: Tensor, size: tuple[int, int]) -> Tensor:
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
    return {p for c in _chain(name) for p, kind in inspect.signature(classes[c]).parameters.items()
            if kind.kind is not kind.VAR_KEYWORD}


def _check_settings(name: str, dim: int, settings: dict) -> None:
    """Everything that can be said before the library is called; messages carry the nearest valid value."""
    chain = _chain(name)
    check_settings(name, settings, _parameters(name) - _LAYOUT)

    for setting in _SIZES:
        if settings.get(setting) is not None:
            values = settings[setting] if isinstance(settings[setting], (tuple, list)) else [settings[setting]]
            for value in values:
                check_positive(setting, value)
    codebook_size = settings.get("codebook_size")

    if "LFQ" in chain and codebook_size is not None and (codebook_size < 2 or codebook_size & (codebook_size - 1)):
        power = 2 ** max(1, int(math.log2(codebook_size)))
        nearest = min(power, 2 * power, key=lambda size: abs(size - codebook_size))
        raise ValueError(f"codebook_size of {name} must be a power of 2, at least 2, got {codebook_size}; the nearest "
                         f"valid value is {nearest}")
    groups = settings.get("groups", 1)
    if dim % groups:
        nearest = min((d for d in range(1, dim + 1) if dim % d == 0), key=lambda d: abs(d - groups))
        raise ValueError(f"groups must divide the latent's {dim} channels, got {groups}; the nearest valid value is "
                         f"{nearest}")
    if "ResidualVQ" in chain and settings.get("heads", 1) != 1:
        raise ValueError(f"{name} has no heads, got heads={settings['heads']}; the only valid value is 1. For heads "
                         "use multi_headed_vq")
    if isinstance(settings.get("levels"), (list, tuple)):
        smallest = 2 if "ResidualFSQ" in chain or settings.get("preserve_symmetry") or "FSQ" not in chain else 3
        _check_levels(settings["levels"], smallest)
    _require_codebook_memory(name, dim, settings)


def _check_levels(levels, smallest):
    whole = [level for level in levels if isinstance(level, int) and not isinstance(level, bool)]
    if not levels or len(whole) < len(levels) or min(levels) < smallest:
        nearest = [max(int(level), smallest) for level in levels if isinstance(level, (int, float))] or [8, 5, 5, 5]
        raise ValueError(f"levels must be integers of at least {smallest}, one per dimension of the codebook, got "
                         f"{list(levels)}; the nearest valid value is {nearest}")


def _require_codebook_memory(name, dim, settings):
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
    require_memory(4 * width, size, default_device(), f"a codebook of {name}", what, remedy)


def _bytes_per_token_and_code(name, settings):
    """What a training step holds, at least, for every pair of a token and a code."""
    chain = _chain(name)
    if "VectorQuantize" in chain or name == "HierarchicalVQ":
        return 16 * settings.get("heads", 1)  # distance and one-hot code in float32, the latter once in int64
    if "LFQ" in chain:
        return 16 * settings.get("num_quantizers", 1)  # distance, probability, its logarithm and product, per quantizer
    return 0
