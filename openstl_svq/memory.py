"""How much memory is free, of the machine, its container or a device."""

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


def refuse_too_large(what: str, size: int, advice: str = "") -> None:
    """A ValueError where ``what``, which is about to be read, is of more bytes than memory has left."""
    free = available_memory("cpu")
    if free is not None and size > free:
        raise ValueError(f"{what}: {_bytes(size)} once unpacked, and {_bytes(free)} of memory are free.{advice}")


def _bytes(count: float) -> str:
    return f"{1e-9 * count:,.1f} GB" if count >= 1e8 else f"{1e-6 * count:,.3f} MB"


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
