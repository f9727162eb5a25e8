"""Time and peak memory of functions that are to be compared with each other."""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from .naming import choose
from .quantizers.memory import TooLargeForMemory
from .statistics import median_interval, with_interval

# The time of a processor leaves out what other programs of a busy machine take.
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


def get_clock(name: str) -> Callable[[], float]:
    """One of :data:`CLOCKS`.

    Raises:
        ValueError: there is none of that name.
    """
    return CLOCKS[choose("clock", name, CLOCKS)]


def synchronize(device: torch.device | str) -> None:
    """Waits until ``device`` has done what it was given."""
    kind = torch.device(device).type
    if kind == "cuda":
        torch.cuda.synchronize(device)
    elif kind == "mps":
        torch.mps.synchronize()


def time_in_turn(
    functions: dict[str, Callable],
    rounds: int,
    device: torch.device | str = "cpu",
    warmup: int = 1,
    progress: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of ``rounds`` calls of each function, called in turn.

    Whatever slows the machine down for a while then meets all of them, and the values of one round make a pair. Each
    round starts with another function, since the first one finds the caches of the last. ``clock`` is one of
    :data:`CLOCKS`, or another function that gives seconds.
    """
    names = list(functions)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for i in range(-warmup, rounds):
        for name in names[i % len(names) :] + names[: i % len(names)]:
            if progress:
                progress(f"round {i + 1} of {rounds}, {name}" if i >= 0 else f"warm-up, {name}")
            synchronize(device)
            start = clock()
            functions[name]()
            synchronize(device)
            if i >= 0:
                seconds[name].append(clock() - start)
    return seconds


class Ratio(NamedTuple):
    """Median of paired ratios and a 95 % interval for it, which assumes nothing about their distribution."""

    median: float
    low: float
    high: float
    pairs: int

    def __str__(self):
        return with_interval(self.median, self.low, self.high, ".3f")


def paired_ratio(values: Sequence[float], references: Sequence[float], confidence: float = 0.95) -> Ratio:
    """``values[i] / references[i]``: median and :func:`~openstl_svq.statistics.median_interval`."""
    if len(values) != len(references) or not values:
        raise ValueError(f"paired values are needed, got {len(values)} and {len(references)}.")
    ratios = [v / r for v, r in zip(values, references)]
    return Ratio(statistics.median(ratios), *median_interval(ratios, confidence), len(ratios))


def peak_memory(function: Callable, device: torch.device | str = "cpu") -> int:
    """Bytes that a call of ``function`` needs at its worst moment, above what was held before it.

    On a GPU torch's allocator keeps the peak; on a CPU it is the running sum of the profiler's record of allocations.
    """
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        function()
        synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before

    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's own chatter on stderr
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        function()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "trace.json")
        profile.export_chrome_trace(path)
        with open(path, encoding="utf-8") as file:
            events = [e for e in json.load(file)["traceEvents"] if e.get("name") == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda e: e["ts"]):
        held += event["args"]["Bytes"]
        peak = max(peak, held)
    return peak


# Plain RuntimeErrors: of torch's CPU allocator, and of a thread that finds no room for its stack.
_NO_MEMORY = ("can't allocate memory", "Cannot allocate memory", "Resource temporarily unavailable")


def out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that memory ran out or would run out, on any device."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError, TooLargeForMemory)) or (
        any(text in str(error) for text in _NO_MEMORY)
    )
