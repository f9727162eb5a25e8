"""Scores of forecasts, streamed: memory does not grow with the test set, and processes add up exactly."""

import warnings
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.distributed import gather_all_tensors

from ..naming import choose
from .perceptual import Unavailable, lpips_distance
from .structural_similarity import ssim

_POINTWISE = ("mse", "mae", "rmse")  # by channel group, with or without spatial normalisation
_WEATHER = ("wrmse", "acc")  # by channel group, weighted by latitude
_FRAMEWISE = ("ssim", "psnr", "snr", "lpips")  # means over frames
METRICS = _POINTWISE + _WEATHER + _FRAMEWISE

_BLOCK = 2**20  # elements at a time, to bound the memory of the float64 copies


class ForecastMetrics(Metric):
    r"""OpenSTL's scores (``openstl.core.metrics.metric``) and those of weather forecasting.

    With the error e = (pred - true) * std over samples n and lead times t, channels c and pixels ij, weights
    :math:`w_i = \cos\phi_i / \langle\cos\phi\rangle`:

    ========  ===========================================================================================
    mse, mae  mean over n, t of the sum over c, i, j of e^2, \|e\|; divided by C H W if ``spatial_norm``
    rmse      square root of that mse
    wrmse     square root of the mean over n, t, c, i, j of :math:`w_i e^2` (Rasp et al. 2024, "WeatherBench 2",
              doi:10.1029/2023MS004019)
    acc       anomaly correlation, :math:`\sum w_i p' o' / \sqrt{\sum w_i p'^2 \sum w_i o'^2}` over i, j, with the
              anomalies p', o' of prediction and truth from a climatology, then the mean over n, t, c (same source);
              0 where an anomaly is zero everywhere, as for the climatology itself
    ssim      see :func:`~openstl_svq.metrics.ssim`, data range 2
    psnr      mean over frames of -10 log10 mean(e^2), in dB, for a peak of 1
    snr       mean over frames of 10 log10(mean(true^2) / mean(e^2)), in dB
    lpips     see :func:`~openstl_svq.metrics.perceptual.lpips_distance`
    ========  ===========================================================================================

    ssim, psnr, snr and lpips compare the prediction clipped to ``clip_range`` with the unclipped truth. A frame
    predicted exactly has psnr and snr of infinity, and so has then the mean.

    Args:
        metrics: names from ``METRICS``.
        mean, std: bring normalised data back to their units, ``x * std + mean``; numbers, or arrays ``(1, C, 1, 1)``.
        spatial_norm: whether mse, mae and rmse are per pixel and channel, or sums over a frame.
        channel_names: names of runs of consecutive channels of equal length: mse, mae, rmse, wrmse and acc come for
            each (``mse_u``), and the overall value is the mean over them. One name is as none.
        clip_range: bounds of the clipped prediction.
        lead_times: also give each score as a list over lead times, named ``mse_by_lead``.
        lat: degrees north of the H rows, for wrmse and acc.

    ``compute()`` returns Python floats (and lists of them) by name, over everything seen by all processes. Without
    LPIPS's weights there is a warning, and no ``lpips``.

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

    full_state_update = True  # the states get their shape from the first batch, so two of them cannot always be added

    def __init__(
        self,
        metrics: Sequence[str],
        *,
        mean=0.0,
        std=1.0,
        spatial_norm: bool = False,
        channel_names: Sequence[str] | None = None,
        clip_range: Sequence[float] = (0.0, 1.0),
        lead_times: bool = False,
        lat=None,
    ):
        super().__init__(dist_sync_fn=_gather)
        metrics = [metrics] if isinstance(metrics, str) else list(metrics)
        for name in metrics:
            choose("metric", name, METRICS)
        if not metrics:
            raise ValueError(f"no metric asked for. Available: {', '.join(METRICS)}.")
        self.names = [name for name in METRICS if name in metrics]
        self.mean_value, self.std_value = _per_channel("mean", mean), _per_channel("std", std)
        self.rescaled = bool((self.mean_value != 0).any() or (self.std_value != 1).any())
        self.spatial_norm = spatial_norm
        self.groups = [channel_names] if isinstance(channel_names, str) else [str(n) for n in channel_names or [""]]
        if len(set(self.groups)) != len(self.groups):
            raise ValueError(f"channel_names must differ from each other; got {self.groups}.")
        low, high = clip_range
        if not low < high:
            raise ValueError(f"clip_range is (low, high) with low < high; got {tuple(clip_range)}.")
        self.clip_range = (float(low), float(high))
        self._warned_of_range = False
        self.lead_times = lead_times
        self.weights = self._latitude_weights(lat)

        # All sums over samples; those with an axis of unknown length start empty. Flat, so that _gather can pad them.
        self.add_state("samples", torch.zeros((), dtype=torch.int64), "sum")
        self.add_state("bad_values", torch.zeros(2, dtype=torch.int64), "sum")  # not finite, in pred and in true
        self.add_state("shape", torch.zeros(4, dtype=torch.int64), "max")  # T, C, H, W
        for name in ("squared", "absolute", "weighted", "correlation"):  # T*C
            self.add_state(name, torch.zeros(0, dtype=torch.float64), "sum")
        for name in _FRAMEWISE:  # T
            self.add_state(f"{name}_sum", torch.zeros(0, dtype=torch.float64), "sum")
        self.add_state("lpips_samples", torch.zeros((), dtype=torch.int64), "sum")

    def _latitude_weights(self, lat) -> Tensor | None:
        wanted = [name for name in _WEATHER if name in self.names]
        if not wanted:
            return None
        if lat is None:
            raise ValueError(f"{', '.join(wanted)} are weighted by latitude: give lat, the degrees north of the rows.")
        lat = torch.as_tensor(lat, dtype=torch.float64, device="cpu")
        if lat.ndim != 1 or not (lat.abs() <= 90).all():
            raise ValueError(f"lat holds one latitude per row, within -90 to 90 degrees; got {lat.tolist()}.")
        weights = torch.cos(torch.deg2rad(lat))
        return weights / weights.mean()

    def _apply(self, fn, *args, **kwargs):
        # Follows the module's device but not its precision: sums stay in float64, and so on the CPU where MPS has none.
        device = fn(torch.zeros(1, device=self.device)).device
        device = torch.device("cpu") if device.type == "mps" else device
        return super()._apply(lambda tensor: tensor.to(device), *args, **kwargs)

    def update(self, pred: Tensor, true: Tensor, climatology: Tensor | None = None) -> None:
        """Adds a batch.

        Args:
            pred, true: ``(B, T, C, H, W)``, normalised; B may change from call to call.
            climatology: likewise, for acc only; broadcastable to ``pred``.
        """
        self._check(pred, true, climatology)
        if climatology is not None:
            climatology = climatology.expand_as(pred)
        size = max(1, _BLOCK // max(1, pred[:1].numel()))
        for start in range(0, len(pred), size):
            block = slice(start, start + size)
            # (blocks of B, T, C, H, W)
            self._add(
                pred[block].to(self.device),
                true[block].to(self.device),
                None if climatology is None else climatology[block].to(self.device),
            )

    def _check(self, pred: Tensor, true: Tensor, climatology: Tensor | None):
        if pred.ndim != 5 or pred.shape != true.shape:
            raise ValueError(
                f"pred and true are both (B, T, C, H, W); got {tuple(pred.shape)} and {tuple(true.shape)}."
            )
        shape = list(pred.shape[1:])
        _, channels, height, width = shape
        for name, value in (("mean", self.mean_value), ("std", self.std_value)):
            if not _fits(value.shape, (1, *shape)):
                raise ValueError(f"{name} of shape {tuple(value.shape)} does not fit samples (T, C, H, W) = {shape}.")
        if channels % len(self.groups):
            raise ValueError(f"{len(self.groups)} channel names {self.groups} do not divide {channels} channels.")
        if self.weights is not None and len(self.weights) != height:
            raise ValueError(f"lat has {len(self.weights)} values, the frames have {height} rows.")
        if "acc" in self.names and climatology is None:
            raise ValueError("acc is the correlation of anomalies: give update the climatology at the target times.")
        if climatology is not None and not _fits(climatology.shape, pred.shape):
            raise ValueError(f"climatology {tuple(climatology.shape)} does not fit pred {tuple(pred.shape)}.")
        seen = self.shape.tolist()
        if any(seen) and seen != shape:
            raise ValueError(f"all batches must have the same T, C, H, W; got {shape} after {seen}.")

    def _add(self, pred: Tensor, true: Tensor, climatology: Tensor | None):
        """One block, on the device of the states."""
        self.samples = self.samples + len(pred)
        self.shape = torch.tensor(pred.shape[1:], device=self.device)
        self.bad_values = self.bad_values + torch.stack([(~x.isfinite()).sum() for x in (pred, true)])
        mean, std = self.mean_value.to(self.device), self.std_value.to(self.device)
        names = self.names

        error = (pred.double() - true.double()) * std
        squared = error.square()
        if "mse" in names or "rmse" in names:
            self._accumulate("squared", squared.sum((-2, -1)))
        if "mae" in names:
            self._accumulate("absolute", error.abs().sum((-2, -1)))
        if self.weights is not None:
            weights = self.weights.to(self.device)[:, None]  # (H, 1)
            if "wrmse" in names:
                self._accumulate("weighted", (weights * squared).sum((-2, -1)))
            if "acc" in names:
                p, t = (x.double() - climatology.double() for x in (pred, true))
                covariance, *variances = ((weights * x * y).sum((-2, -1)) for x, y in ((p, t), (p, p), (t, t)))
                norm = (variances[0] * variances[1]).sqrt()
                self._accumulate("correlation", torch.where(norm == 0, 0.0, covariance / norm))

        if not set(names).intersection(_FRAMEWISE):
            return
        # Physical units want float64; images that are in [0, 1] already are exact enough, and faster, as they are.
        if self.rescaled:
            pred, true = pred.double() * std + mean, true.double() * std + mean
        self._warn_of_range(true)
        pred = pred.clamp(*self.clip_range)
        if "ssim" in names:
            self._accumulate("ssim_sum", ssim(pred, true))
        if "psnr" in names or "snr" in names:
            noise = (pred.double() - true.double()).square().mean((-3, -2, -1))  # (B, T)
            if "psnr" in names:
                self._accumulate("psnr_sum", -10 * noise.log10())
            if "snr" in names:
                signal = true.double().square().mean((-3, -2, -1))
                self._accumulate("snr_sum", torch.where(noise == 0, torch.inf, 10 * (signal / noise).log10()))
        if "lpips" in names:
            self._add_lpips(pred, true)

    def _warn_of_range(self, true: Tensor):
        low, high = self.clip_range
        if not self._warned_of_range and ((true < low) | (true > high)).count_nonzero() > 0.01 * true.numel():
            self._warned_of_range = True
            warnings.warn(
                f"true values lie outside [{low:g}, {high:g}], to which predictions are cut for "
                f"{', '.join(name for name in self.names if name in _FRAMEWISE)}: those scores mean nothing "
                "for such data. Leave them out of `metrics`.",
                stacklevel=3,
            )

    def _add_lpips(self, pred: Tensor, true: Tensor):
        try:
            distances = lpips_distance(pred.flatten(0, 1), true.flatten(0, 1)).view(pred.shape[:2])
        except Unavailable as error:
            self.names = [name for name in self.names if name != "lpips"]
            warnings.warn(f"lpips is left out, the other metrics are computed. {error}", stacklevel=2)
        else:
            self._accumulate("lpips_sum", distances)
            self.lpips_samples = self.lpips_samples + len(pred)

    def _accumulate(self, state: str, values: Tensor):
        """Adds the sum over samples of ``values`` ``(B, T, ...)`` to a state."""
        total = values.double().sum(0).flatten()
        current = getattr(self, state)
        setattr(self, state, current + total if current.numel() else total)

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
                f"are NaN or infinite, so {', '.join(self.names)} would not be finite. "
                + ("Check the data." if bad_true else "Check the model's weights and its precision.")
            )
        scores = {}
        for name in self.names:
            if name in _FRAMEWISE:
                if name != "lpips" or int(self.lpips_samples) == samples:
                    by_lead = getattr(self, f"{name}_sum") / samples
                    scores |= self._named(name, by_lead.mean(), by_lead)
            else:
                scores |= self._grouped(name, samples)
        return scores

    def _grouped(self, name: str, samples: int) -> dict[str, float | list[float]]:
        """mse, mae, rmse, wrmse or acc: for each channel group, and the mean over them."""
        steps, channels, height, width = self.shape.tolist()
        sums = {
            "mse": self.squared,
            "rmse": self.squared,
            "mae": self.absolute,
            "wrmse": self.weighted,
            "acc": self.correlation,
        }[name]
        per_channel = sums.view(steps, len(self.groups), -1) / samples  # (T, groups, channels of one)
        if name == "acc":
            by_lead = per_channel.mean(-1)
        else:
            by_lead = per_channel.sum(-1)
            if name == "wrmse" or self.spatial_norm:
                by_lead /= per_channel.shape[-1] * height * width
        overall = by_lead.mean(0)
        if name in ("rmse", "wrmse"):
            by_lead, overall = by_lead.sqrt(), overall.sqrt()
        scores = {}
        if len(self.groups) > 1:
            for i, group in enumerate(self.groups):
                scores |= self._named(f"{name}_{group}", overall[i], by_lead[:, i])
        return scores | self._named(name, overall.mean(), by_lead.mean(1))

    def _named(self, name: str, value: Tensor, by_lead: Tensor) -> dict[str, float | list[float]]:
        return {name: value.item()} | ({f"{name}_by_lead": by_lead.tolist()} if self.lead_times else {})


def _gather(state: Tensor, group=None) -> list[Tensor]:
    """The state of every process; a process that saw no sample has an empty one, which counts as zeros."""
    states = gather_all_tensors(state, group)
    if not state.ndim:
        return states
    length = max(s.numel() for s in states)
    return [F.pad(s, (0, length - s.numel())) for s in states]


def _fits(shape: Sequence[int], target: Sequence[int]) -> bool:
    """Whether a tensor of ``shape`` broadcasts to ``target``."""
    try:
        return torch.broadcast_shapes(shape, target) == torch.Size(target)
    except RuntimeError:
        return False


def _per_channel(name: str, value) -> Tensor:
    value = torch.as_tensor(value, dtype=torch.float64, device="cpu")
    if value.numel() > 1 and value.ndim < 3:
        raise ValueError(f"{name} of shape {tuple(value.shape)} is ambiguous: give a number, or an array (1, C, 1, 1).")
    if not value.isfinite().all():
        raise ValueError(f"{name} must be finite; got {value.flatten().tolist()}.")
    return value
