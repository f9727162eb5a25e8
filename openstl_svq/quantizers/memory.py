"""How much memory a tensor may still take: a clear message instead of a killed process."""

from pathlib import Path

import torch

_CGROUPS = (  # (limit, used, statistics), version 2 then version 1
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    ),
)


class TooLargeForMemory(ValueError):
    """A setting that this machine's memory cannot hold."""


def _table(path: str) -> dict[str, int]:
    """A file of `name value ...` lines as a dict of int; names without a colon."""
    rows = (line.split() for line in Path(path).read_text().splitlines())
    return {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) > 1}


def _container_room() -> int | None:
    """Bytes left under this container's limit, or None. Cached file pages count as free: they are given up first."""
    for limit, used, stat in _CGROUPS:
        try:
            return int(Path(limit).read_text()) - int(Path(used).read_text()) + _table(stat).get("inactive_file", 0)
        except (OSError, ValueError):  # absent, or the word "max"
            continue
    return None


def available_memory(device: torch.device | str) -> int | None:
    """Bytes that can still be allocated on `device` ("cpu" or CUDA), or None where that cannot be told."""
    device = torch.device(device)
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type != "cpu":
        return None
    try:
        system = _table("/proc/meminfo")["MemAvailable"] * 1024
    except (OSError, KeyError, ValueError):
        return None
    container = _container_room()
    return system if container is None else min(system, container)


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
