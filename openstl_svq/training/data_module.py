"""The data of a run as a Lightning data module: any host's loaders, with samplers that are exact and resumable."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, RandomSampler, Sampler

from ..data.cycle import Cycle
from ..data.registry import dataset_or_default
from ..data.times import Clock
from ..data.windows import WindowDataset
from ..metrics import Climatology, field_metrics
from ..metrics.base import METRICS
from ..protocol import OPENSTL, differences
from .checkpoint import plain
from .devices import split_batch


class EpochSampler(DistributedSampler):
    """Shuffles by (seed, epoch) alone, so that an epoch after a resume has the order it would have had anyway.

    ``generator`` seeds the loader's workers in the same way. One process is the case of one replica.

    Args:
        multiple: samples of this process that make an optimizer step; what does not fill the last one is left out.
    """

    def __init__(self, dataset: Dataset, *, num_replicas: int, rank: int, seed: int, multiple: int = 1):
        super().__init__(dataset, num_replicas=num_replicas, rank=rank, shuffle=True, seed=seed)
        self.generator = torch.Generator()
        self.multiple = multiple
        self.skipped = (-1, 0)  # in this epoch, so many samples
        self.set_epoch(0)

    def __iter__(self):
        epoch, count = self.skipped
        return iter(list(super().__iter__())[count if self.epoch == epoch else 0 : len(self)])

    def __len__(self):
        return super().__len__() // self.multiple * self.multiple  # of a whole epoch, whatever is skipped

    def set_epoch(self, epoch: int):
        super().set_epoch(epoch)
        self.generator.manual_seed((self.seed * 1_000_003 + epoch) * 1_009 + self.rank)


class ShardSampler(Sampler):
    """Every ``num_replicas``-th sample from ``rank`` on, in order: each once, none repeated to even out the shards."""

    def __init__(self, size: int, *, num_replicas: int, rank: int):
        self.indices = range(rank, size, num_replicas)

    def __iter__(self):
        return iter(self.indices)

    def __len__(self):
        return len(self.indices)


class DeferredLoader(DataLoader):
    """Starts its workers with the first batch, not with the iterator.

    Lightning makes the iterator of the first epoch before it says which epoch that is; workers would by then have
    fetched batches of epoch 0, which a resumed run would train on.

    ``discard`` batches of the next epoch are fetched and thrown away.
    """

    discard = 0

    def __iter__(self):
        batches = super().__iter__()
        discard, self.discard = self.discard, 0
        for _ in range(discard):
            next(batches)
        yield from batches


class Wrapper(Dataset):
    """The samples of another dataset in another form."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset)


class Indexed(Wrapper):
    """Samples that carry their index, so that a test step can look up what belongs to them."""

    def __getitem__(self, index):
        return (*self.dataset[index], index)


class AsStored(Wrapper):
    """Windows as their frames are kept, for a loader whose batches are decoded on their device."""

    def __getitem__(self, index):
        return self.dataset.stored(index)


def moves_bytes(dataset: Dataset) -> bool:
    """Whether samples of ``dataset`` go from process to process and to a device as bytes, and become numbers there."""
    return getattr(dataset, "as_bytes", False)


def as_moved(dataset: Dataset) -> Dataset:
    """``dataset`` in the form in which its samples go from process to process and to a device."""
    return AsStored(dataset) if moves_bytes(dataset) else dataset


class ForecastData(pl.LightningDataModule):
    """The three loaders of a run.

    Training is shuffled by :class:`EpochSampler`; validation and test are sharded by :class:`ShardSampler`; the test
    loader gives ``(x, y, index)``.

    Args:
        train_loader, valid_loader, test_loader: of either host.
        config: the resolved configuration (``seed``, ``dataname``, ``use_augment``).
    """

    def __init__(self, train_loader: DataLoader, valid_loader: DataLoader, test_loader: DataLoader, config: dict):
        super().__init__()
        self.train_loader, self.valid_loader, self.test_loader = train_loader, valid_loader, test_loader
        self._loaders = {"training": train_loader, "validation": valid_loader, "test": test_loader}
        for split, loader in self._loaders.items():
            if not len(loader):
                raise ValueError(
                    f"the {split} data of {config['dataname']} make no batch: {len(loader.dataset)} samples, batch "
                    f"size {loader.batch_size}{', incomplete batches dropped' if loader.drop_last else ''}. "
                    "Lower the batch size or give more data."
                )
        # Plain tensors: they become part of every checkpoint.
        self.test_mean, self.test_std = (
            torch.as_tensor(np.asarray(plain if v is None else v, dtype=np.float64))
            for v, plain in ((getattr(test_loader.dataset, name, None), k) for k, name in ((0.0, "mean"), (1.0, "std")))
        )
        self.data_name = getattr(test_loader.dataset, "data_name", config["dataname"])
        self.config = config
        self._climatology: Climatology | None = None
        self.batch_size, self._batches_per_step = train_loader.batch_size, 1
        self._skipped: tuple[int, int] | None = None

    def split_among(self, processes: int) -> int:
        """Shares ``total_batch_size``, where it is given, among ``processes``; the batches that make one step.

        Raises:
            ValueError: it cannot be shared evenly; a split has fewer samples than there are processes, or than a step
                or a batch of every process takes.
        """
        total, samples = self.config.get("total_batch_size"), len(self.train_loader.dataset)
        for split, loader in self._loaders.items():
            size = len(loader.dataset)
            if size < processes:
                raise ValueError(f"{processes} processes for {size} {split} samples: use {size} devices or fewer.")
            shared = split == "training" and total is not None
            if processes > 1 and loader.drop_last and not shared and size // processes < (loader.batch_size or 1):
                raise ValueError(
                    f"each of {processes} processes has {size // processes} of the {size} {split} samples, which make no "
                    f"batch of {loader.batch_size}: take a batch size of {size // processes} or less, or fewer devices."
                )
        if total is None:
            return 1
        if not isinstance(self.train_loader.sampler, RandomSampler):
            raise ValueError("total_batch_size needs a training loader that shuffles; leave it out with this one.")
        if total > samples:
            raise ValueError(f"total_batch_size is {total}, but there are {samples} training samples: take {samples}.")
        self.batch_size, self._batches_per_step = split_batch(total, processes, self.train_loader.batch_size)
        return self._batches_per_step

    def keep_statistics(self, trained_with: Mapping) -> str | None:
        """Normalises as in the training that a checkpoint is of; says so where these data would be otherwise.

        Where each split has its own statistics (a difference of the protocol), they stay so.

        Args:
            trained_with: ``test_mean`` and ``test_std`` of the checkpoint, if it has them.

        Raises:
            ValueError: data of OpenSTL's own loaders, which are normalised already, with other statistics.
        """
        saved = [trained_with.get(key) for key in ("test_mean", "test_std")]
        if any(v is None for v in saved) or "statistics" in differences(self.config["protocol"]):
            return None
        self._refuse_other_points(trained_with.get("missing"))
        mean, std = (torch.as_tensor(v, dtype=torch.float64) for v in saved)
        cycle, own = Cycle.of_dict(trained_with.get("cycle")), getattr(self.train_loader.dataset, "cycle", None)
        if (cycle is None) != (own is None) or (cycle and own and cycle.kind != own.kind):
            raise ValueError(
                f"the weights were trained with anomaly {cycle and cycle.kind!r}, and this is {own and own.kind!r}: give the "
                "training's."
            )
        same_cycle = cycle is None or own is None or np.array_equal(cycle.means, own.means)
        if torch.equal(mean, self.test_mean) and torch.equal(std, self.test_std) and same_cycle:
            return None
        shown = f"mean {_shown(mean)} and deviation {_shown(std)}"
        datasets = [loader.dataset for loader in self._loaders.values()]
        if not all(isinstance(dataset, WindowDataset) for dataset in datasets):
            raise ValueError(
                f"the weights were trained on data normalised with {shown}, and OpenSTL's loader normalises these with "
                f"mean {_shown(self.test_mean)} and deviation {_shown(self.test_std)}: give the data of the training."
            )
        for dataset in datasets:
            dataset.keep(mean.numpy().astype("f4"), std.numpy().astype("f4"), cycle)
        self.test_mean, self.test_std = mean, std
        return f"normalised with the statistics of the training, {shown}"

    def _refuse_other_points(self, trained_without) -> None:
        here = getattr(self.train_loader.dataset, "missing", None)
        there = None if trained_without is None else np.asarray(trained_without)
        if (here is None) != (there is None) or (here is not None and not np.array_equal(here, there)):
            count = 0 if there is None else int(there.sum())
            raise ValueError(
                f"the weights were trained with {count:,} missing points, and {0 if here is None else int(here.sum()):,} "
                "are missing here, or others: give data with the training's mask."
            )

    # loaders, asked for by the trainer once it knows how many processes there are

    def train_dataloader(self):
        loader = self.train_loader
        if not isinstance(loader.sampler, RandomSampler):
            return loader
        sampler = EpochSampler(
            loader.dataset,
            **self._replicas(),
            seed=self.config["seed"],
            multiple=1 if self.config.get("total_batch_size") is None else self.batch_size * self._batches_per_step,
        )
        # Workers that live on would carry the state of their generators from epoch to epoch, past a resume.
        persistent = loader.num_workers > 0 and not self._draws()
        rebuilt = _rebuild(
            loader,
            as_moved(loader.dataset),
            sampler,
            persistent,
            generator=sampler.generator,
            batch_size=self.batch_size,
        )
        if self._skipped:
            self._skip_in(rebuilt, sampler)
        return rebuilt

    def _draws(self) -> bool:
        """Whether training windows are drawn at random, by augmentation or altogether."""
        return bool(self.config.get("use_augment")) or getattr(self.train_loader.dataset, "draws", False)

    def skip(self, epoch: int, batches: int) -> None:
        """Lets ``epoch`` start after so many ``batches`` of each process, with what it would have given then."""
        self._skipped = epoch, batches

    def _skip_in(self, loader: "DeferredLoader", sampler: EpochSampler) -> None:
        epoch, batches = self._skipped
        if loader.num_workers and self._draws():  # the workers' random draws go on from batch to batch
            loader.discard = batches
        else:
            sampler.skipped = epoch, batches * self.batch_size

    def val_dataloader(self):
        return self._sharded(self.valid_loader, as_moved(self.valid_loader.dataset))

    def test_dataloader(self):
        return self._sharded(self.test_loader, Indexed(as_moved(self.test_loader.dataset)))

    def on_after_batch_transfer(self, batch: list[Tensor], dataloader_idx: int) -> list[Tensor]:
        """Makes frames of a batch that was moved as bytes."""
        split = "training" if self.trainer.training else "test" if self.trainer.testing else "validation"
        dataset = self._loaders[split].dataset
        if not moves_bytes(dataset):
            return batch
        return [*(dataset.decode(part) for part in batch[:2]), *batch[2:]]

    def _sharded(self, loader, dataset):
        # Its own generator: a loader without one draws its workers' seed from the generator that training uses.
        return _rebuild(
            loader,
            dataset,
            ShardSampler(len(dataset), **self._replicas()),
            loader.num_workers > 0,
            generator=torch.Generator().manual_seed(self.config["seed"]),
        )

    def _replicas(self) -> dict:
        trainer = self.trainer
        return {"num_replicas": trainer.world_size if trainer else 1, "rank": trainer.global_rank if trainer else 0}

    # what the method and later forecasts need to know

    def of_the_points(self) -> dict:
        """``missing`` and ``cycle`` of the training data, where there are such: arguments of the method, and so in every
        checkpoint."""
        dataset = self.train_loader.dataset
        missing, cycle = getattr(dataset, "missing", None), getattr(dataset, "cycle", None)
        given = {} if missing is None else {"missing": torch.as_tensor(missing)}
        return given if cycle is None else given | {"cycle": plain(cycle.as_dict())}

    def trained_on(self) -> dict:
        """Time step, grid and unit of the training frames; empty where the dataset has no times."""
        dataset = self.train_loader.dataset
        times = dataset.target_times(0) if hasattr(dataset, "target_times") else None
        if times is None:
            return {}
        clock = getattr(dataset, "clock", None) or Clock()
        apart = int(np.subtract(*clock.steps(np.stack([times[0], dataset.input_times(0)[-1]]))))
        lat, lon = (
            None if v is None else np.asarray(v).tolist()
            for v in (getattr(dataset, "lat", None), getattr(dataset, "lon", None))
        )
        return {
            "interval_months" if clock.monthly else "interval_minutes": apart,
            "lat": lat,
            "lon": lon,
            "units": getattr(dataset, "units", None),
            "scored": list(self.data_name) if self.multivariate else self.data_name,
            "channels": [list(channel) for channel in getattr(dataset, "channels", None) or ()],
        }

    # what the scores need to know

    @property
    def multivariate(self) -> bool:
        return isinstance(self.data_name, (list, tuple))

    def metric_settings(self) -> dict:
        """Arguments of :class:`~openstl_svq.metrics.ForecastMetrics`, see :func:`metric_settings`."""
        return metric_settings(
            self.test_loader.dataset,
            self.data_name,
            self.config,
            self.test_mean,
            self.test_std,
            with_climatology=self.climatology is not None,
        )

    @property
    def score_units(self) -> str | dict[str, str | None] | None:
        """Unit of the data, or of each variable and channel by its name in the scores."""
        return score_units(self.test_loader.dataset)

    @property
    def climatology(self) -> Climatology | None:
        """Climatology of the training frames; ``None`` where the dataset gives no access to single frames."""
        dataset = self.train_loader.dataset
        if self._climatology is None and hasattr(dataset, "frames"):
            self._climatology = Climatology.fit(dataset.frames())
        return self._climatology

    def climatology_for(self, indices: Tensor, batch_y: Tensor) -> Tensor:
        """Climatology at the target times of the test samples ``indices``: ``(B,)`` -> shape of ``batch_y``."""
        times = [self.test_loader.dataset.target_times(int(i)) for i in indices]
        known = None if any(t is None for t in times) else np.stack(times)
        values = self.climatology.at(known)
        (mean, std), (test_mean, test_std) = (
            loader.dataset.normalised_with for loader in (self.train_loader, self.test_loader)
        )
        if np.any(mean != test_mean) or np.any(std != test_std):  # each split has its own (OpenSTL)
            values = (values * torch.as_tensor(std) + torch.as_tensor(mean - test_mean)) / torch.as_tensor(test_std)
        return values.to(batch_y).expand_as(batch_y)


def metric_settings(
    about: Any, data_name: Any, config: Mapping, mean: Any, std: Any, *, with_climatology: bool
) -> dict:
    """Arguments of :class:`~openstl_svq.metrics.ForecastMetrics`: OpenSTL's scores of a dataset, and for weather those that
    its field reports. A user's own fields are scored as weather, images as OpenSTL's videos.

    Args:
        about: a dataset or a source of frames, of which ``lat``, ``field``, ``channels`` and ``missing`` are read.
        data_name: what is scored by itself, where it is a list.
        with_climatology: scores that need one can be computed.
    """
    metrics = list(config["metrics"])
    field = dataset_or_default(config["dataname"]).is_field or getattr(about, "field", False)
    lat = getattr(about, "lat", None)
    lat = None if lat is None else np.array(lat)  # a copy: netCDF hands out arrays that are not writable
    if field and lat is not None:
        metrics += [
            name
            for name in field_metrics()
            if name not in metrics and (with_climatology or "climatology" not in METRICS[name].needs)
        ]
    names = list(data_name) if isinstance(data_name, (list, tuple)) else None
    channels = getattr(about, "channels", None) or ()
    alone = [score_name(name) for name, _ in channels]
    return {
        "metrics": metrics,
        "mean": mean,
        "std": std,
        "spatial_norm": field,
        "lat": lat,
        "channel_names": names,
        "single_channels": alone if field and len(alone) > len(names or [""]) else None,
        # Where a unit is not known, the variable stands for it. OpenSTL's tables pool all.
        "units": [unit or name.split(" ")[0] for name, unit in channels]
        if field and channels and config.get("protocol") != OPENSTL
        else None,
        "missing": getattr(about, "missing", None),
    }


def score_units(about: Any) -> str | dict[str, str | None] | None:
    """Unit of a dataset's or source's data, or of each variable and channel by its name in the scores."""
    channels = getattr(about, "channels", None) or ()
    if len({unit for _, unit in channels}) < 2:
        return getattr(about, "units", None)
    # A variable, without its levels, and each channel.
    return {key: unit for name, unit in channels for key in (name.split(" ")[0], score_name(name))}


def score_name(channel: str) -> str:
    """``t 850 hPa`` as ``t_850``."""
    return re.sub(r"\W+", "_", channel.removesuffix(" hPa")).strip("_")


def _shown(values: Tensor) -> str:
    return ", ".join(f"{v:.6g}" for v in values.flatten()[:3].tolist()) + (", ..." if values.numel() > 3 else "")


def _rebuild(
    loader: DataLoader, dataset: Dataset, sampler: Sampler, persistent: bool, generator=None, batch_size=None
) -> DataLoader:
    """``loader`` with another dataset, sampler and, where given, batch size."""
    workers = {}
    if loader.num_workers:
        workers = {"prefetch_factor": loader.prefetch_factor, "persistent_workers": persistent}
    return DeferredLoader(
        dataset,
        batch_size=batch_size or loader.batch_size,
        sampler=sampler,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        drop_last=loader.drop_last,
        worker_init_fn=loader.worker_init_fn,
        generator=generator,
        **workers,
    )
