"""How much memory a tensor may still take: a clear message instead of a killed process."""

import torch

from ..memory import available_memory


class TooLargeForMemory(ValueError):
    """A setting that this machine's memory cannot hold."""


def default_device() -> torch.device:
    """Where new tensors go (torch.get_default_device does not see ``with torch.device(...)`` in torch 2.4)."""
    return torch.empty(0).device


def require_memory(per_unit: float, units: int, device: torch.device, what: str, unit: str, remedy: str) -> None:
    """Raises TooLargeForMemory if `per_unit * units` bytes cannot fit on `device`; names the largest number that can.

    Args:
        per_unit: bytes per unit.
        units: how many units are asked for.
        what: what needs the memory. unit: what a unit is called. remedy: what to do about it.
    """
    if torch.compiler.is_compiling():  # sizes may be symbols, and the machine that will run it another one
        return
    available = available_memory(device)
    if available is not None and per_unit * units > available:
        raise TooLargeForMemory(
            f"{what} needs {per_unit * units / 2**30:.1f} GiB on {device}, {available / 2**30:.1f} GiB are free: "
            f"{unit} = {units} is too large, at most {available // per_unit} fits. {remedy}"
        )
