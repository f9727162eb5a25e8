"""Samples a second that the loaders give, against what a step on a GPU needs."""

import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from ..config_file import load_config
from ..data import cache, get_dataset, load_data
from ..models.cost import model_cost
from ..naming import choose
from ..training.data_module import as_moved
from . import Progress, register_benchmark
from .backbones import CONFIGS, TABLE_12, model_of
from .tables import Table

_BACKWARD = 3  # a training step takes some three times the operations of a forecast
_MULTIPLY_ADD = 2
_WORKERS, _PREFETCHED = 8, 2  # processes, and batches of each that wait loaded
_COUNTED = 4  # times as many batches are counted as may wait loaded before and after
_TOO_LARGE_FOR_MEMORY = {"kth"}  # 5.6 GB when decoded; OpenSTL's part of WeatherBench's temperature is 0.4 GB
_SIZES: dict[str, dict] = {
    "taxibj": {"windows": (1200, 12)},
    "human": {"videos": (12, 1), "windows": 12},
    "kitticaltech": {"videos": (64, 2)},
}


@register_benchmark("loader", "samples a second of each dataset's loader, against the need of a step on a GPU")
def loader_table(
    dataname: Sequence[str] = (),
    batch_size: int = 16,
    num_workers: int | None = None,
    seconds: float = 10.0,
    tflops: float = 494.0,
    utilisation: float = 0.4,
    configs: Path = CONFIGS,
    *,
    progress: Progress = None,
) -> Table:
    """Training batches of synthetic data of full frame size, loaded for a while: pages in memory, and dropped from it.

    Args:
        dataname: datasets; all of Table 12 by default.
        num_workers: default: 8, or none where a run of the dataset takes none by default.
        seconds: of loading, for each number.
        tflops, utilisation: of the GPU whose need is computed; 494 TFLOP/s is an H100's in TF32.
    """
    backbones = [TABLE_12[choose("dataset of Table 12", name, TABLE_12)] for name in dataname or TABLE_12]
    rows = []
    for backbone in backbones:
        dataset = get_dataset(backbone.dataname)
        config = load_config(configs / backbone.folder / f"SimVP_SVQ_{backbone.translator}.py")
        cost = model_cost(model_of(config, backbone.in_shape, "folded"), backbone.in_shape)
        need = utilisation * tflops * 1e12 / (_MULTIPLY_ADD * _BACKWARD * cost.flops)
        row = {"dataset": backbone.label, "need": need}
        with tempfile.TemporaryDirectory() as folder, _limited(dataset.name), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*scores on these data are not comparable")
            next(iter(dataset.makers.values()))(Path(folder), **_SIZES.get(dataset.name, {}))
            train, *_ = load_data(backbone.dataname, batch_size, batch_size, num_workers, folder)
            row["workers"] = _WORKERS if num_workers is None and train.num_workers else train.num_workers
            for state in ("warm",) if train.dataset.in_memory else ("cold", "warm"):
                if progress:
                    progress(f"{backbone.label}, {state}")
                forget = _files_read(Path(folder)) if state == "cold" else ()
                row[state] = _rate(as_moved(train.dataset), batch_size, row["workers"], seconds, forget)
                row[f"{state}_ratio"] = row[state] / need
        rows.append(row)
    columns: dict = {"dataset": "Dataset", "workers": "Workers", "need": ("Need, samples/s", ",.0f")}
    for state in ("cold", "warm"):
        columns |= {state: (f"Loaded, {state}", ",.0f"), f"{state}_ratio": ("times the need", ".1f")}
    return Table(
        columns,
        rows,
        f"Loaders: batch {batch_size}",
        [
            f"Need: a training step at {utilisation:.0%} of {tflops:g} TFLOP/s, {_BACKWARD} forward passes each.",
            "Images are loaded as bytes, as a run loads them; it makes numbers of them on the GPU.",
            f"Median over {seconds:g} s of loading. Cold: the files' pages are dropped from memory before each pass over the data.",
        ],
    )


class _Passes(Sampler):
    """So many samples, in passes over a dataset, each shuffled anew; pages of the files ``forget`` are dropped before each."""

    def __init__(self, size: int, count: int, forget: Sequence[Path]):
        self.size, self.count, self.forget = size, count, forget

    def __iter__(self) -> Iterator[int]:
        for begin in range(0, self.count, self.size):
            _drop_pages(self.forget)
            yield from torch.randperm(self.size)[: self.count - begin].tolist()

    def __len__(self) -> int:
        return self.count


def _rate(dataset: Dataset, batch_size: int, workers: int, seconds: float, forget: Sequence[Path]) -> float:
    """Samples a second, once the workers have started and what they had loaded until then is used up."""
    waiting = _PREFETCHED * workers
    batches = 1 + waiting + _COUNTED * max(waiting, _PREFETCHED)
    loader = DataLoader(
        dataset,
        batch_size,
        sampler=_Passes(len(dataset), batches * batch_size, forget),
        num_workers=workers,
        prefetch_factor=_PREFETCHED if workers else None,
        persistent_workers=workers > 0,
    )
    rates: list[float] = []
    began = time.perf_counter()
    while not rates or time.perf_counter() - began < seconds:
        loaded = iter(loader)
        for _ in range(1 + waiting):
            next(loaded)
        start = time.perf_counter()
        counted = sum(len(batch[0]) for batch in loaded)
        rates.append(counted / (time.perf_counter() - start))
    return statistics.median(rates)


@contextmanager
def _limited(name: str) -> Iterator[None]:
    """Keeps in a file what would be there of the full dataset ``name``, whose small one would be held in memory."""
    limit, cache.IN_MEMORY = cache.IN_MEMORY, 0 if name in _TOO_LARGE_FOR_MEMORY else cache.IN_MEMORY
    try:
        yield
    finally:
        cache.IN_MEMORY = limit


def _files_read(folder: Path) -> list[Path]:
    """The files in ``folder`` that windows are read from: not images of which there is a decoded copy."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    decoded = any(path.parent.name == cache.FOLDER for path in files)
    return [path for path in files if path.suffix != ".jpg"] if decoded else files


def _drop_pages(files: Sequence[Path]) -> None:
    """Asks the system to forget what it keeps in memory of the files, where it can be asked."""
    for file in files if hasattr(os, "posix_fadvise") else ():
        with open(file, "rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
