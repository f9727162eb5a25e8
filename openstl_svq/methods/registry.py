"""One record per method: what the rest of the package asks about a method is a field of it."""

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import nn

from ..host import METHOD_KEYS, method_maps, only_in_openstl
from ..naming import Registry, accepted, choose, parameters, place
from .forecast import extended


@dataclass(frozen=True)
class Method:
    """A method that runs can be trained with.

    Attributes:
        name: what ``--method`` calls it, in lower case.
        cls: the Lightning module, built from the whole configuration as keyword arguments; the record holds it with
            :class:`~openstl_svq.methods.ForecastMethod` in front.
        description: one line for :func:`list_methods`; by default the first of the class's docstring.
        model_cls: the class of its network. The parameters of its constructor are configuration keys.
        quantized: the network takes ``quantizer``, ``quantizer_kwargs`` and ``quant_position``.
        defaults: values of configuration keys where they differ from the command line's.
        config_keys: the keys that it reads beside those of ``model_cls``, of the command line, and of the data.
            ``None`` where they are not known: other keys then pass with a warning.
        multiple: what height and width of a frame must be multiples of, from a resolved configuration; ``None``: anything,
            or it is not known.
        check: looks at a resolved configuration before data are loaded, and raises a ValueError where the network could
            not be built for them.

    Raises:
        ValueError: ``cls`` is no Lightning module, or ``model_cls`` no torch module.
    """

    name: str = ""
    cls: type = NoneType
    model_cls: type | None = None
    description: str = ""
    quantized: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)
    config_keys: Collection[str] | None = ()
    multiple: Callable[[dict], int] | None = None
    check: Callable[[dict], None] | None = None

    def __post_init__(self):
        for key, kind in (("cls", LightningModule), ("model_cls", nn.Module)):
            value = getattr(self, key)
            if not (isinstance(value, type) and issubclass(value, kind)) and not (key == "model_cls" and value is None):
                given = "nothing" if value is NoneType else repr(value)
                raise ValueError(f"method {self.name!r}: {key} must be a subclass of {kind.__name__}, got {given}.")
        object.__setattr__(self, "cls", extended(self.cls))
        if not self.description:
            object.__setattr__(self, "description", (inspect.getdoc(self.cls) or "").partition("\n")[0])

    @property
    def keys(self) -> set[str] | None:
        """All configuration keys that it reads beside those of the command line and the data; ``None``: not known."""
        if self.config_keys is None:
            return None
        return set(self.config_keys) | (parameters(self.model_cls) if self.model_cls else set())


def builds(model_cls: type[nn.Module]) -> Callable[[dict], None]:
    """A ``check`` of a :class:`Method`: raises what the network's constructor would, without its memory."""

    def check(config: dict) -> None:
        with torch.device("meta"):
            model_cls(**accepted(model_cls, config))

    return check


METHODS: Registry[Method] = Registry("method", __package__)


def register_method(method: Method, *, override: bool = False) -> Method:
    """Makes ``method`` available by its name, also in the host's ``method_maps``.

    Args:
        override: replace a method of the same name on purpose.

    Raises:
        ValueError: the name is taken, or is not in lower case.

    Example::

        register_method(Method("mine", MyMethod, MyModel, config_keys={"alpha"}, defaults={"alpha": 0.1}))
    """
    if method.name != method.name.lower():
        raise ValueError(f"method {method.name!r}: --method is not case-sensitive; name it {method.name.lower()!r}.")
    of_host, bases = method_maps.get(method.name), (method.cls, *method.cls.__bases__)
    METHODS.add(
        method.name,
        method,
        method.description,
        owner=place(method.cls),
        held_by="" if of_host is None or of_host in bases else place(of_host),
        override=override,
    )
    method_maps[method.name] = method.cls
    return method


def list_methods() -> dict[str, str]:
    """Name -> one-line description of every method, sorted by name; see :func:`all_methods`."""
    return {name: method.description for name, method in all_methods().items()}


def all_methods() -> dict[str, Method]:
    """Name -> record of every method: this package's, the host's, and those of plug-ins; sorted by name.

    Raises:
        ValueError: somebody has put another class into the host's ``method_maps`` under the name of a record.
    """
    for name, cls in list(method_maps.items()):
        if name not in METHODS:
            register_method(_of_host(name, cls))
        elif cls is not METHODS[name].cls:
            raise ValueError(
                f"the method name {name!r} is taken by {place(cls)} in the host's method_maps; take it out there, or "
                "register it with register_method(..., override=True)."
            )
    return {name: METHODS[name] for name in METHODS}


def get_method(name: str) -> Method:
    """The record of the method ``name``, in any case.

    Raises:
        ValueError: there is none; the message lists those that exist.
    """
    choose("method", name.lower(), all_methods(), hint=only_in_openstl("method", name))
    return METHODS[name.lower()]


def _of_host(name: str, cls: type) -> Method:
    """What is known of a method that stands in the host's ``method_maps`` alone."""
    return Method(
        name,
        cls,
        getattr(cls, "model_class", None),
        defaults=getattr(cls, "defaults", {}),
        config_keys=getattr(cls, "config_keys", METHOD_KEYS.get(name)),
        check=getattr(cls, "check", None),
    )
