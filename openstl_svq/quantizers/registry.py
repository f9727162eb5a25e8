"""One registry of quantizers: the lists users see, and the tests, run over it."""

import inspect
from collections.abc import Callable

from ..naming import Registry, unknown
from .base import Quantizer
from .checks import check_settings
from .library import NOT_A_QUANTIZER, PACKAGE, LibraryQuantizer, library_classes, usable_classes

QUANTIZERS: Registry[type[Quantizer]] = Registry("quantizer", __package__)


def register_quantizer(name: str, description: str, *, override: bool = False) -> Callable[[type], type]:
    """Class decorator that makes a `Quantizer` available by name.

    The class is built as ``cls(dim, **settings)``.

    Args:
        description: one line for `list_quantizers`.
        override: replace an entry of the same name on purpose.

    Raises:
        ValueError: the name is taken, or the class is not a `Quantizer`.

    Example::

        @register_quantizer("identity", "no quantization at all")
        class Identity(Quantizer):
            def quantize(self, z, *, return_codes, return_usage):
                return QuantizerOutput(z, zero_loss(z))
    """

    def register(cls: type) -> type:
        if not (isinstance(cls, type) and issubclass(cls, Quantizer)):
            raise ValueError(f"{cls!r} cannot be registered as {name!r}: derive it from Quantizer")
        return QUANTIZERS.register(name, description, override=override)(cls)

    return register


def list_quantizers() -> dict[str, str]:
    """Name -> one-line description of every registered quantizer, sorted by name."""
    return QUANTIZERS.descriptions()


def build_quantizer(name: str, dim: int, **settings) -> Quantizer:
    """Builds a quantizer for latents with `dim` channels.

    Args:
        name: a registered name, or a class of vector-quantize-pytorch ("SimVQ", "FSQ", ...), which then gets
            `settings` and needs that package.

    Raises:
        ValueError: an unknown name or setting (the message lists what exists), or a value it cannot take.
        ImportError: a quantizer of vector-quantize-pytorch without that package.
    """
    if name not in QUANTIZERS:
        classes = library_classes()
        if name in classes or name in NOT_A_QUANTIZER:
            return LibraryQuantizer(dim, name, **settings)
        absent = "" if classes else f" The classes of {PACKAGE} could be named too, but it is not installed."
        raise ValueError(f"{unknown('quantizer', name, [*QUANTIZERS, *usable_classes()])}{absent}")
    cls = QUANTIZERS[name]
    parameters = inspect.signature(cls).parameters
    if all(p.kind is not p.VAR_KEYWORD for p in parameters.values()):  # a class with ** checks the names itself
        check_settings(name, settings, [p for p in parameters if p != "dim"])
    return cls(dim, **settings)
