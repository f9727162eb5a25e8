"""Training losses by name, one registry for those of this package and of plug-ins."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from torch import Tensor, nn

from ..naming import Registry

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule

_LOSSES: Registry[Callable[[], nn.Module]] = Registry("loss", __package__)
L = TypeVar("L", bound=Callable[[], nn.Module])

__all__ = ["build_loss", "list_losses", "log_train_loss", "register_loss"]


def register_loss(name: str, description: str, *, override: bool = False) -> Callable[[L], L]:
    """Decorator that makes a loss available by name, to ``--loss`` and to all methods that learn from one.

    Args:
        description: one line for :func:`list_losses`.
        override: replace a loss of the same name on purpose.

    What is decorated is called without arguments and gives a module ``loss(prediction, truth)`` of two tensors ``(B, T, C,
    H, W)``, normalised, that returns a scalar, 0 where they are equal. Where points are left out (``mask``), both are 0
    there.

    Raises:
        ValueError: the name is taken.

    Example::

        @register_loss("logcosh", "log cosh of the error")
        class LogCosh(nn.Module):
            def forward(self, prediction, truth):
                return (prediction - truth).cosh().log().mean()
    """
    return _LOSSES.register(name, description, override=override)


def list_losses() -> dict[str, str]:
    """Name -> one-line description of every registered loss, sorted by name."""
    return _LOSSES.descriptions()


def build_loss(name: str) -> nn.Module:
    """The loss of this name; a ValueError that lists what exists where there is none."""
    return _LOSSES[name]()


def log_train_loss(method: "LightningModule", loss: Tensor, samples: int) -> Tensor:
    """Logs a batch's ``loss`` and the epoch's mean over all ``samples`` as every method does, and returns it."""
    method.log("train_loss", loss, on_step=True, on_epoch=True, prog_bar=True, sync_dist=True, batch_size=samples)
    return loss
