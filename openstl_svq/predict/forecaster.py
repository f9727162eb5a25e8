"""The front of a trained model: forecasts in the data's own unit."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..data.cycle import Cycle
from ..data.times import Clock
from ..data.windows import restored
from .hub import Shared

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..data.windows import WindowDataset
    from .fields import Scores

# Standard deviations of the training data that a channel's mean may lie away from theirs. Degrees Celsius in place of
# kelvin are 13 of them on the globe and more on a smaller grid; bytes in place of shares are over 100.
_FAR = 8
_SLACK = 0.5  # by which shares may leave [0, 1]: forecasts do, and may be given again
PRECISIONS = ("32", "bf16-mixed")
UNCHECKED = "or turn the check off if they are meant so (check_range=False, --no_range_check)"


class Forecaster(Shared):
    """Goes in front of a trained method (see :func:`openstl_svq.load`) and forecasts in the data's own unit.

    Calling the method itself takes and gives normalised tensors, as in training.

    Attributes:
        hparams: its configuration, the statistics of its training, and what is known of the data (``trained_on``).
        example: a window of the test part, after :func:`openstl_svq.fit`.
        folded: whether its codebook is folded away.
        precision: that forecasts are computed in, of :data:`PRECISIONS`; they are given in that of their input.
    """

    hparams: Any
    example: "WindowDataset | None" = None
    folded = False
    precision = "32"

    def forward(self, batch_x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if self.precision == "32":
            return super().forward(batch_x, *args, **kwargs)
        with torch.autocast(batch_x.device.type, torch.bfloat16):
            return super().forward(batch_x, *args, **kwargs).to(batch_x.dtype)

    def predict(
        self,
        frames: Any,
        steps: int | None = None,
        *,
        check_range: bool = True,
        window: str = "last",
        times: Any = None,
    ) -> Any:
        """The forecast from ``frames``, which are normalised with the statistics that the method was trained with.

        Args:
            frames: an xarray DataArray or Dataset with times; or ``(T, C, H, W)``, a batch ``(B, T, C, H, W)``, or
                of one channel ``(T, H, W)``, an array or a tensor, in the unit of the training data; weather with
                latitudes from south to north (as in the files where the method was trained with the protocol
                ``openstl``). The last ``pre_seq_length`` frames are the input; of an array the others are not looked at.
            steps: frames to forecast (default: ``aft_seq_length``). For more, the method is fed its own output.
            check_range: refuse values that are far from those trained on, such as those of another unit.
            window: of a DataArray or Dataset: from its ``"last"`` frames, from ``"all"`` windows without a gap, or from
                the time of the first input frame.
            times: of the frames of an array, datetime64 ``(T,)`` or ``(B, T)``, for a method that forecasts
                anomalies.

        Returns:
            ``(steps, C, H, W)``, ``(B, steps, C, H, W)`` or ``(steps, H, W)`` in the unit of the training data, an array or a tensor as
            ``frames`` are; float64 if they are, else float32; NaN at points that were always missing in training. Of a
            DataArray or Dataset another with the same names, coordinates and attributes, the times of the forecast, and
            ``lead_time`` and ``init_time`` (the last input); of all windows with dimensions of these names.

        Raises:
            ValueError: another shape, grid, unit or time step, values that are missing or far from those trained on, too
                few frames, a forecast that is not finite.
        """
        if is_xarray(frames):
            from .fields import forecast_field

            return forecast_field(self, frames, steps, window=window, check_range=check_range)
        steps = checked_steps(self.hparams, steps)
        values = frames if torch.is_tensor(frames) else _as_tensor(frames)
        flat = values.ndim == 3 and self.hparams.in_shape[1] == 1
        values = self._checked(values[:, None] if flat else values)
        batch = values if values.ndim == 5 else values[None]
        batch = batch.detach().to("cpu", torch.float64)  # on the CPU: not every device has float64
        cycle, missing = self.cycle, self.hparams.get("missing")
        before = after = None
        if cycle is not None:
            before, after = self._times(times, steps, len(batch))
            batch = batch - torch.as_tensor(cycle.at(before))
        mean, std = (
            torch.as_tensor(np.asarray(v), dtype=torch.float64)  # (1, C, 1, 1) or a number
            for v in (self.hparams.test_mean, self.hparams.test_std)
        )
        batch = (batch - mean) / std
        if missing is not None:
            batch = batch.masked_fill(missing, 0)
        if check_range:
            refuse_far(batch, mean, std, missing)
        weights = next(self.parameters(), batch).dtype
        forecast = self._forecast(batch.to(self.device, weights), steps).to("cpu", torch.float64)
        if not torch.isfinite(forecast).all():
            raise ValueError(
                "the forecast has values that are NaN or infinite: the network does not bear these frames, or not as many "
                "steps of its own output."
            )
        forecast = torch.as_tensor(restored(forecast.numpy(), after, mean.numpy(), std.numpy(), cycle, missing))
        forecast = forecast.to(torch.float64 if values.dtype == torch.float64 else torch.float32)
        forecast = forecast if values.ndim == 5 else forecast[0, :, 0] if flat else forecast[0]
        return forecast.to(values.device) if torch.is_tensor(frames) else forecast.numpy()

    def score(
        self, data: Any = None, *, climatology: Any = None, check_range: bool = True, batch_size: int | None = None
    ) -> "Scores":
        """Scores of the forecasts from all windows in ``data``: those that ``tools/test.py`` gives on the same frames.

        Args:
            data: an xarray DataArray or Dataset with times, or an array ``(T, C, H, W)``, with input frames and the frames
                to forecast. By default the scores of the test part of the training's data are returned.
            climatology: the frames of the training, as ``data``: with them the climatology is scored too, and those
                scores are given that need one (ACC).
            check_range: see :meth:`predict`.
            batch_size: windows at a time (default: ``val_batch_size``).

        Returns:
            Scores by name for ``model`` and ``persistence``, ``{"model": {"mse": ..., "mse_by_lead": [...]}, ...}``; prints
            as a table.

        Raises:
            ValueError: as :meth:`predict`; no window; without ``data``, a model without the scores of a test.
        """
        from .fields import recorded_scores, score_data

        if data is None:
            return recorded_scores(self)
        return score_data(self, data, climatology=climatology, check_range=check_range, batch_size=batch_size)

    def plot(self, data: Any = None, *, check_range: bool = True) -> "Figure":
        """A forecast beside the truth: input, truth, prediction and error, as a matplotlib figure.

        Args:
            data: as of :meth:`score`; the last window in it is drawn. By default a window of the test part, which a model
                has after :func:`openstl_svq.fit`.
            check_range: see :meth:`predict`.

        Raises:
            ValueError: as :meth:`score`; no ``data``, and the model is not fresh from its training.
        """
        from .fields import plot_data

        return plot_data(self, data, check_range=check_range)

    def save(self, folder: str | os.PathLike) -> None:
        """Writes the model to a new ``folder``, which :func:`openstl_svq.load` and all tools take.

        It is a run folder, with all that there is of the run: configuration, logs, scores and ``last.ckpt``, from which
        ``--resume`` goes on. Of a model that no run is at hand of, configuration and weights.

        Raises:
            ValueError: there is something in ``folder`` already.
            OSError: it cannot be written.
        """
        from .saving import save_run

        save_run(self, folder)

    @property
    def cycle(self) -> Cycle | None:
        """What the method was trained without, and forecasts get back (``anomaly``)."""
        return Cycle.of_dict(self.hparams.get("cycle"))

    def _times(self, times, steps: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Of the input and the forecast frames, ``(B, T)`` and ``(B, steps)``."""
        if times is None:
            raise ValueError(
                f"this model forecasts anomalies (anomaly={self.cycle.kind!r}) and needs to know when the frames are: give a "
                "DataArray, or times=."
            )
        before = np.asarray(times).astype("datetime64[m]")[..., -self.hparams.pre_seq_length :]
        before = before[None] if before.ndim == 1 else before
        if before.shape != (count, self.hparams.pre_seq_length):
            raise ValueError(
                f"times of shape {np.shape(times)} do not fit {count} x {self.hparams.pre_seq_length} frames."
            )
        trained_on = self.hparams.get("trained_on") or {}
        months = trained_on.get("interval_months")
        clock = Clock(monthly=bool(months))
        leads = np.arange(1, steps + 1) * (months or trained_on["interval_minutes"])
        return before, np.stack([clock.times(clock.steps(row[-1]) + leads, row) for row in before])

    @torch.no_grad()
    def _forecast(self, batch: Tensor, steps: int) -> Tensor:
        """Normalised ``(B, T, C, H, W)`` -> ``(B, steps, C, H, W)``."""
        known, seen = batch.shape[1], batch
        # Some of OpenSTL's methods take the shape of what follows from a second argument.
        blank = batch.new_zeros(len(batch), self.hparams.aft_seq_length, *batch.shape[2:])
        while seen.shape[1] < known + steps:
            seen = torch.cat([seen, self(seen[:, -known:], blank).to(seen.dtype)], dim=1)
        return seen[:, known : known + steps]

    def _checked(self, values: Tensor) -> Tensor:
        """The last of ``values``, if they are frames that this method can take."""
        shape, wanted = tuple(values.shape), (self.hparams.pre_seq_length, *self.hparams.in_shape[1:])
        if len(shape) in (4, 5) and shape[-3:] == wanted[1:] and shape[-4] > wanted[0]:
            values = values[..., -wanted[0] :, :, :, :]
        elif len(shape) not in (4, 5) or shape[-4:] != wanted:
            hint = ""
            if len(shape) in (4, 5) and shape[-3:] == (*wanted[2:], wanted[1]):
                hint = " The channels stand last here and must stand before height and width."
            raise ValueError(
                f"frames of shape {shape}; this model takes (frames, channels, height, width) = {wanted}, "
                f"or a batch of them.{hint}"
            )
        if not values.numel():
            raise ValueError(f"frames of shape {shape} are an empty batch.")
        if values.is_complex():
            raise ValueError("frames must be real numbers, got complex ones.")
        missing = self.hparams.get("missing")
        bad = ~torch.isfinite(values)
        bad = bad if missing is None else bad & ~missing.to(bad.device)
        if bad.any():
            more = " besides those that were always missing in training" if missing is not None else ""
            raise ValueError(
                f"{int(bad.sum())} of {bad.numel()} values are NaN or infinite{more}, the first at "
                f"{tuple(bad.nonzero()[0].tolist())}. Fill them in: one spoils the whole forecast."
            )
        return values


def is_xarray(data: Any) -> bool:
    """Whether it is a DataArray or a Dataset; looked at without importing xarray."""
    return type(data).__module__.startswith("xarray.")


def _as_tensor(frames) -> Tensor:
    array = np.asarray(frames)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"frames must be numbers, got an array of {array.dtype}.")
    return torch.from_numpy(array.astype(np.float64 if array.dtype == np.float64 else np.float32))


def checked_steps(hparams: Any, steps: int | None) -> int:
    """``steps``, by default those of the training; a ValueError unless it is a whole number above 0."""
    steps = hparams.aft_seq_length if steps is None else steps
    if isinstance(steps, bool) or steps != int(steps) or steps < 1:
        raise ValueError(f"steps must be a whole number above 0, got {steps!r}.")
    return int(steps)


def refuse_far(normalised: Tensor, mean: Tensor, std: Tensor, missing: Tensor | None = None) -> None:
    if not mean.any() and (std == 1).all():  # trained on shares in [0, 1], as images are
        low, high = normalised.min().item(), normalised.max().item()
        if low < -_SLACK or high > 1 + _SLACK:
            raise ValueError(
                f"the values go from {low:.6g} to {high:.6g}; those trained on lie in [0, 1]. Give them "
                f"in the same unit, {UNCHECKED}."
            )
    distance = normalised.mean(dim=(0, 1, 3, 4)).abs()  # (C)
    if missing is not None:
        distance = distance / (1 - missing.double().mean((1, 2)))
    channel = int(distance.argmax())
    if distance[channel] <= _FAR:
        return
    centre, spread = (v.flatten()[channel if v.numel() > 1 else 0].item() for v in (mean, std))
    found = normalised[:, :, channel] if missing is None else normalised[:, :, channel][..., ~missing[channel]]
    found = found * spread + centre
    raise ValueError(
        f"the values of channel {channel} go from {found.min():.6g} to {found.max():.6g}; those trained "
        f"on have mean {centre:.6g} and standard deviation {spread:.6g}. Give them in the same unit, "
        f"{UNCHECKED}."
    )
