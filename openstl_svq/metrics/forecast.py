"""Scores of forecasts, streamed: memory does not grow with the test set, and processes add up exactly."""

import warnings
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module
from torchmetrics import Metric
from torchmetrics.utilities.distributed import gather_all_tensors

from .base import METRICS, NORMALISED, Block, FieldMetric, ForecastMetric, ImageMetric, Unavailable, list_metrics

_BLOCK = 2**20  # elements at a time, to bound the memory of the float64 copies

Values = float | Sequence | np.ndarray | Tensor


class ForecastMetrics(Metric):
    """The scores that are asked for, over everything that all processes have seen.

    Each metric of :func:`~openstl_svq.metrics.list_metrics` has its equation in its class; those that OpenSTL has
    (``openstl.core.metrics.metric``) have OpenSTL's values. Metrics of fields compare values in the data's units,
    metrics of images the prediction clipped to ``clip_range`` with the unclipped truth.

    Args:
        metrics: their names.
        mean, std: bring normalised data back to their units, ``x * std + mean``; numbers, or arrays ``(1, C, 1, 1)``.
        spatial_norm: whether mse, mae and rmse are per pixel and channel, or sums over a frame.
        channel_names: names of runs of consecutive channels of equal length: metrics of fields come for each
            (``mse_u``), and the overall value is the mean over them. One name is as none.
        clip_range: bounds of the clipped prediction.
        single_channels: names of the channels, where each is to have scores of its own too (``mse_u_850``).
        units: of the channels. Where they differ, there is no mean over channels of a score that has a unit, but one of
            the scores over the deviation ``std`` of each channel (``mse_normalised``).
        missing: points that no score looks at, bool ``(C, H, W)``.
        lead_times: also give each score as a list over lead times, named ``mse_by_lead``.
        lat: degrees north of the H rows, for the metrics that need them.

    ``compute()`` returns Python floats (and lists of them) by name. A metric that cannot be computed here (LPIPS without
    its weights) gives a warning, and no score.

    Raises:
        ValueError: bad arguments; in ``update``, shapes that differ or that a metric cannot take; in ``compute``, no
            data, or values that are not finite, naming the metrics that are lost.

    Example:
        >>> scores = ForecastMetrics(["mse", "mae"], std=2.0)
        >>> for pred in (torch.zeros(3, 4, 1, 8, 8), torch.ones(1, 4, 1, 8, 8)):
        ...     scores.update(pred, torch.ones_like(pred))
        >>> scores.compute()
        {'mse': 192.0, 'mae': 96.0}
    """

    samples: Tensor
    bad_values: Tensor
    shape: Tensor
    full_state_update = True  # the states get their shape from the first batch, so two of them cannot always be added

    def __init__(
        self,
        metrics: str | Iterable[str],
        *,
        mean: Values = 0.0,
        std: Values = 1.0,
        spatial_norm: bool = False,
        channel_names: Sequence[str] | None = None,
        clip_range: Sequence[float] = (0.0, 1.0),
        lead_times: bool = False,
        lat: Values | None = None,
        single_channels: Sequence[str] | None = None,
        units: Sequence[str | None] | None = None,
        missing: np.ndarray | Tensor | None = None,
    ):
        super().__init__(dist_sync_fn=_gather)
        wanted = {metrics} if isinstance(metrics, str) else set(metrics)
        if not wanted:
            raise ValueError(f"no metric asked for. Available: {', '.join(list_metrics())}.")
        classes = {name: METRICS[name] for name in sorted(wanted)}
        self.metrics = {name: classes[name](spatial_norm) for name in list_metrics() if name in wanted}
        self.mean_value, self.std_value = _per_channel("mean", mean), _per_channel("std", std)
        self.rescaled = bool((self.mean_value != 0).any() or (self.std_value != 1).any())
        self.groups = [channel_names] if isinstance(channel_names, str) else [str(n) for n in channel_names or [""]]
        if len(set(self.groups)) != len(self.groups):
            raise ValueError(f"channel_names must differ from each other; got {self.groups}.")
        self.single_channels = [str(name) for name in single_channels or ()]
        self.pooled = units is None or len(set(units)) <= 1
        self.missing = None if missing is None else torch.as_tensor(missing, dtype=torch.bool)
        if self.missing is not None and (
            whole := [name for name, metric in self.metrics.items() if not metric.maskable]
        ):
            raise ValueError(
                f"{', '.join(whole)} cannot leave points out, as they look at neighbourhoods: take them out of metrics, or "
                "fill the missing values in. Those that can: "
                f"{', '.join(name for name in list_metrics() if METRICS[name].maskable)}."
            )
        low, high = clip_range
        if not low < high:
            raise ValueError(f"clip_range is (low, high) with low < high; got {tuple(clip_range)}.")
        self.clip_range = (float(low), float(high))
        self._warned_of_range = False
        self.lead_times = lead_times
        self.weights = self._latitude_weights(lat)

        self.add_state("samples", torch.zeros((), dtype=torch.int64), "sum")
        self.add_state("bad_values", torch.zeros(2, dtype=torch.int64), "sum")  # not finite, in pred and in true
        self.add_state("shape", torch.zeros(4, dtype=torch.int64), "max")  # T, C, H, W
        for name in self.metrics:
            # Flat, since processes can exchange states of different lengths but not of different dimensions.
            self.add_state(f"{name}_sum", torch.zeros(0, dtype=torch.float64), "sum")
            self.add_state(f"{name}_samples", torch.zeros((), dtype=torch.int64), "sum")

    def _needing(self, what: str) -> str:
        return ", ".join(name for name, metric in self.metrics.items() if what in metric.needs)

    def _latitude_weights(self, lat: Values | None) -> Tensor | None:
        if not (wanted := self._needing("lat")):
            return None
        if lat is None:
            raise ValueError(f"{wanted} are weighted by latitude: give lat, the degrees north of the rows.")
        lat = torch.as_tensor(lat, dtype=torch.float64, device="cpu")
        if lat.ndim != 1 or not (lat.abs() <= 90).all():
            raise ValueError(f"lat holds one latitude per row, within -90 to 90 degrees; got {lat.tolist()}.")
        weights = torch.cos(torch.deg2rad(lat))
        return weights / weights.mean()

    def _apply(self, fn: Callable, *args, **kwargs) -> Module:
        # Follows the module's device but not its precision: sums stay in float64, and so on the CPU where MPS has none.
        device = fn(torch.zeros(1, device=self.device)).device
        device = torch.device("cpu") if device.type == "mps" else device
        return super()._apply(lambda tensor: tensor.to(device), *args, **kwargs)

    def update(self, pred: Tensor, true: Tensor, climatology: Tensor | None = None) -> None:
        """Adds a batch.

        Args:
            pred, true: ``(B, T, C, H, W)``, normalised; B may change from call to call.
            climatology: likewise, for the metrics that need it; broadcastable to ``pred``.
        """
        self._check(pred, true, climatology)
        if climatology is not None:
            climatology = climatology.expand_as(pred)
        size = max(1, _BLOCK // max(1, pred[:1].numel()))
        for start in range(0, len(pred), size):
            part = slice(start, start + size)
            given = {} if climatology is None else {"climatology": climatology[part].to(self.device)}
            self._add(pred[part].to(self.device), true[part].to(self.device), given)

    def _check(self, pred: Tensor, true: Tensor, climatology: Tensor | None) -> None:
        if pred.ndim != 5 or pred.shape != true.shape:
            raise ValueError(
                f"pred and true are both (B, T, C, H, W); got {tuple(pred.shape)} and {tuple(true.shape)}."
            )
        shape = list(pred.shape[1:])
        _, channels, height, _ = shape
        for name, value in (("mean", self.mean_value), ("std", self.std_value)):
            if not _fits(value.shape, (1, *shape)):
                raise ValueError(f"{name} of shape {tuple(value.shape)} does not fit samples (T, C, H, W) = {shape}.")
        if channels % len(self.groups):
            raise ValueError(f"{len(self.groups)} channel names {self.groups} do not divide {channels} channels.")
        if len(self.single_channels) not in (0, channels):
            raise ValueError(f"{len(self.single_channels)} names of single channels for {channels} channels.")
        if self.missing is not None and list(self.missing.shape) != shape[1:]:
            raise ValueError(f"missing of shape {tuple(self.missing.shape)} does not fit frames {tuple(shape[1:])}.")
        if self.weights is not None and len(self.weights) != height:
            raise ValueError(f"lat has {len(self.weights)} values, the frames have {height} rows.")
        if climatology is None and (wanted := self._needing("climatology")):
            raise ValueError(f"{wanted} compare anomalies: give update the climatology at the target times.")
        if climatology is not None and not _fits(climatology.shape, pred.shape):
            raise ValueError(f"climatology {tuple(climatology.shape)} does not fit pred {tuple(pred.shape)}.")
        seen = self.shape.tolist()
        if any(seen) and seen != shape:
            raise ValueError(f"all batches must have the same T, C, H, W; got {shape} after {seen}.")

    def _add(self, pred: Tensor, true: Tensor, given: dict[str, Tensor]) -> None:
        """One block, on the device of the states."""
        valid = None
        if self.missing is not None:
            missing = self.missing.to(self.device)
            valid, pred, true = (~missing).double(), pred.masked_fill(missing, 0), true.masked_fill(missing, 0)
            given = {name: value.masked_fill(missing, 0) for name, value in given.items()}
        self.samples = self.samples + len(pred)
        self.shape = torch.tensor(pred.shape[1:], device=self.device)
        self.bad_values = self.bad_values + torch.stack([(~x.isfinite()).sum() for x in (pred, true)])
        mean, std = self.mean_value.to(self.device), self.std_value.to(self.device)
        if self.weights is not None:
            given["lat"] = self.weights.to(self.device)[:, None]  # (H, 1)
        block = Block(pred, true, mean, std, self.rescaled, self.clip_range, given, valid)
        self._warn_of_range(block)
        for name, metric in list(self.metrics.items()):
            try:
                values = metric.statistic(block)
            except Unavailable as error:
                del self.metrics[name]
                warnings.warn(f"{name} is left out, the other metrics are computed. {error}", stacklevel=4)
                continue
            total, current = values.double().sum(0).flatten(), getattr(self, f"{name}_sum")
            setattr(self, f"{name}_sum", current + total if current.numel() else total)
            setattr(self, f"{name}_samples", getattr(self, f"{name}_samples") + len(pred))

    def _warn_of_range(self, block: Block) -> None:
        low, high = self.clip_range
        images = [name for name, metric in self.metrics.items() if isinstance(metric, ImageMetric)]
        if self._warned_of_range or not images:
            return
        true = block.true_image
        if ((true < low) | (true > high)).count_nonzero() > 0.01 * true.numel():
            self._warned_of_range = True
            warnings.warn(
                f"true values lie outside [{low:g}, {high:g}], to which predictions are cut for {', '.join(images)}: "
                "those scores mean nothing for such data. Leave them out of `metrics`.",
                stacklevel=5,
            )

    def compute(self) -> dict[str, float | list[float]]:
        """Scores by name; see the class."""
        samples = int(self.samples)
        if not samples:
            raise ValueError("no sample was scored: the test set is empty, or update was never called.")
        bad_pred, bad_true = self.bad_values.tolist()
        if bad_pred or bad_true:
            total = samples * int(self.shape.prod())
            raise ValueError(
                f"{bad_pred:,} of {total:,} predicted values and {bad_true:,} of {total:,} true values "
                f"are NaN or infinite, so {', '.join(self.metrics)} would not be finite. "
                + ("Check the data." if bad_true else "Check the model's weights and its precision.")
            )
        scores: dict[str, float | list[float]] = {}
        for name, metric in self.metrics.items():
            if int(getattr(self, f"{name}_samples")) == samples:  # or some process could not compute it
                scores |= self._scores_of(name, metric, getattr(self, f"{name}_sum") / samples)
        return scores

    def _scores_of(self, name: str, metric: ForecastMetric, mean: Tensor) -> dict[str, float | list[float]]:
        """One metric, from the flat mean of its statistic: for each channel group, and the mean over them."""
        steps, channels, _, _ = self.shape.tolist()
        of_fields = isinstance(metric, FieldMetric)
        groups = self.groups if of_fields else [""]
        axes = [len(groups), channels // len(groups)] if of_fields else [1]
        several = mean.numel() // (steps * channels if of_fields else steps)
        mean = mean.view(steps, *axes, *[several] * (several > 1)).transpose(0, 1)  # (G, T, C, ...) or (1, T, ...)
        overall = metric.score(mean)  # (G,)
        by_lead = metric.score(mean.flatten(0, 1).unsqueeze(1)).view(-1, steps)  # (G, T)
        named = [(f"{name}_{group}", overall[i], by_lead[i]) for i, group in enumerate(groups) if len(groups) > 1]
        whole = (name, overall.mean(), by_lead.mean(0))
        if of_fields and (self.single_channels or not self.pooled):
            one = mean.movedim(1, 2).flatten(0, 1)  # (C, T, ...)
            alone, alone_by_lead = metric.score(one.unsqueeze(2)), metric.score(one.flatten(0, 1)[:, None, None])
            alone_by_lead = alone_by_lead.view(-1, steps)  # (C, T)
            named += [(f"{name}_{c}", alone[i], alone_by_lead[i]) for i, c in enumerate(self.single_channels)]
            if not self.pooled and metric.unit_power:
                scale = self.std_value.to(mean.device).flatten().expand(channels) ** metric.unit_power
                relative, relative_by_lead = (alone / scale).mean(), (alone_by_lead / scale[:, None]).mean(0)
                whole = (f"{name}_{NORMALISED}", relative, relative_by_lead)
        scores: dict[str, float | list[float]] = {}
        for key, value, values in [*named, whole]:
            scores[key] = value.item()
            if self.lead_times:
                scores[f"{key}_by_lead"] = values.tolist()
        return scores


def _gather(state: Tensor, group: object = None) -> list[Tensor]:
    """The state of every process, without those that are empty because the process saw no sample."""
    states = gather_all_tensors(state, group)
    return [s for s in states if s.numel()] or states


def _fits(shape: Sequence[int], target: Sequence[int]) -> bool:
    """Whether a tensor of ``shape`` broadcasts to ``target``."""
    try:
        return torch.broadcast_shapes(shape, target) == torch.Size(target)
    except RuntimeError:
        return False


def _per_channel(name: str, value: Values) -> Tensor:
    value = torch.as_tensor(value, dtype=torch.float64, device="cpu")
    if value.numel() > 1 and value.ndim < 3:
        raise ValueError(f"{name} of shape {tuple(value.shape)} is ambiguous: give a number, or an array (1, C, 1, 1).")
    if not value.isfinite().all():
        raise ValueError(f"{name} must be finite; got {value.flatten().tolist()}.")
    return value
