"""Loops that numba compiles, on as many threads as torch uses."""

import importlib.util
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch


def have_compiler() -> bool:
    """Whether numba is there."""
    return importlib.util.find_spec("numba") is not None


def is_traced() -> bool:
    """Whether the operations of the moment are recorded for elsewhere, and so must be torch's own."""
    return torch.jit.is_tracing() or getattr(torch.compiler, "is_exporting", bool)()  # the latter from torch 2.7 on


def in_parts(count: int, parts: int, work: Callable[[int, int, int], None]) -> None:
    """``work(part, first, last)`` for ``parts`` equal parts of ``range(count)``, at the same time."""
    edges = [count * part // parts for part in range(parts + 1)]
    others = [_pool(os.getpid()).submit(work, part, *edges[part : part + 2]) for part in range(1, parts)]
    work(0, *edges[:2])  # here: a sleeping core takes longer to wake than this one to work
    for other in others:
        other.result()


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """Threads do not survive a fork, so each process has its own."""
    return ThreadPoolExecutor(max(1, torch.get_num_threads()))


@cache
def compiled(loop: Callable) -> Callable:
    """``loop`` compiled, for the types that it is called with."""
    import numba

    # Threads are Python's: numba's own may not be used after a fork. NaN must stay NaN, so not all of fastmath.
    options = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}
    try:
        return numba.njit(cache=True, **options)(loop)
    except RuntimeError:  # no folder to keep the compiled code in
        return numba.njit(**options)(loop)
