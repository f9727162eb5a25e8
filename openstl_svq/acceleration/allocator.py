"""Memory that a process keeps instead of returning it: fresh pages cost a CPU run a tenth of its time."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # of malloc.h
_LARGEST = 2**31 - 1


def keep_freed_memory(keep: bool = True) -> bool:
    """Lets the C library keep up to 2 GiB of freed memory for what is allocated next; for the whole process.

    A step frees and allocates the same maps again and again. By default glibc gives large ones back to the system at
    once, and the system fills each page with zeros before it hands it out again.

    Args:
        keep: False for glibc's own way, as it is once a process has freed large blocks.

    Returns:
        Whether the C library can be told: glibc's can, those of macOS, Windows and Alpine Linux cannot.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        tell = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    if keep:
        settings = {_MMAP_MAX: 0, _TRIM_THRESHOLD: _LARGEST}
    else:
        settings = {_MMAP_MAX: 2**16, _MMAP_THRESHOLD: 2**25, _TRIM_THRESHOLD: 2**26}
    accepted = [tell(key, value) for key, value in settings.items()]
    return all(accepted)
