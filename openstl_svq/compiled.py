"""Loops that numba compiles, on the threads that torch computes on."""

import ctypes
import importlib.util
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import FunctionType

import torch

_PROCESS = os.getpid()  # OpenMP's threads do not survive a fork


def have_compiler() -> bool:
    """Whether numba is there."""
    return importlib.util.find_spec("numba") is not None


def is_traced() -> bool:
    """Whether the operations of the moment are recorded for elsewhere, and so must be torch's own."""
    return torch.jit.is_tracing() or getattr(torch.compiler, "is_exporting", bool)()  # the latter from torch 2.7 on


def is_captured() -> bool:
    """Whether they are recorded or compiled: a compiler fuses torch's operations with their neighbours.

    To be asked before a size is: in a trace that is a symbol, which a comparison would bind.
    """
    return is_traced() or torch.compiler.is_compiling()


def threads_for(work: int, worth: int, count: int) -> int:
    """Of torch's threads, so many that each has ``worth`` of the ``work`` and one of ``count`` things to do; at least one."""
    return max(1, min(torch.get_num_threads(), 1 + work // worth, count))


def in_parts(count: int, parts: int, work: Callable[[int, int, int], None]) -> None:
    """``work(part, first, last)`` for ``parts`` equal parts of ``range(count)``, at the same time.

    All of torch's threads are OpenMP's where that is GNU's: between two operations they wait awake, and leave no core to others.
    """
    edges = [count * part // parts for part in range(parts + 1)]
    start = _team() if 1 < parts == torch.get_num_threads() and os.getpid() == _PROCESS else None
    if start is not None:
        _on_team(start, parts, lambda part: work(part, *edges[part : part + 2]))
        return
    others = [_pool(os.getpid()).submit(work, part, *edges[part : part + 2]) for part in range(1, parts)]
    work(0, *edges[:2])  # here: a sleeping core takes longer to wake than this one to work
    for other in others:
        other.result()


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """Threads do not survive a fork, so each process has its own."""
    return ThreadPoolExecutor(max(1, torch.get_num_threads()))


def _on_team(start: Callable, parts: int, work: Callable[[int], None]) -> None:
    """``work(part)`` for each part, on threads that ``start`` lends."""
    left, errors = iter(range(parts)), []

    def take(_) -> None:
        try:
            for part in left:
                work(part)
        except BaseException as error:  # would be lost in C
            errors.append(error)

    start(_CALLED(take), None, parts, 0)
    if errors:
        raise errors[0]


_CALLED = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@cache
def _team() -> Callable | None:
    """GOMP_parallel of the library that torch has loaded: a function, its argument, a number of threads, flags."""
    for path in (Path(torch.__file__).parent / "lib").glob("libgomp*.so*"):
        try:
            start = ctypes.CDLL(str(path), mode=os.RTLD_NOLOAD).GOMP_parallel
        except (OSError, AttributeError):  # not loaded
            continue
        start.argtypes, start.restype = [_CALLED, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint], None
        return start
    return None


def inlined(function: Callable) -> Callable:
    """Marks a function that compiled loops call."""
    function.inlined = True  # type: ignore[attr-defined]
    return function


@cache
def compiled(loop: Callable) -> Callable:
    """``loop`` compiled, for the types that it is called with, and with it the functions of its module that are `inlined`."""
    import numba

    called = {name: loop.__globals__.get(name) for name in loop.__code__.co_names}
    inner = {name: compiled(function) for name, function in called.items() if getattr(function, "inlined", False)}
    loop = FunctionType(loop.__code__, loop.__globals__ | inner, loop.__name__) if inner else loop
    # Threads are those of `in_parts`: numba's own may not be used after a fork. NaN must stay NaN, so not all of fastmath.
    options = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}
    try:
        return numba.njit(cache=True, **options)(loop)
    except RuntimeError:  # no folder to keep the compiled code in
        return numba.njit(**options)(loop)
