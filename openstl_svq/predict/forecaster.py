"""The front of a trained model: forecasts in the data's own unit."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .hub import Shared

# Standard deviations of the training data that a channel's mean may lie away from theirs. Degrees Celsius in place of
# kelvin are 13 of them on the globe and more on a smaller grid; bytes in place of shares are over 100.
_FAR = 8
_SLACK = 0.5  # by which shares may leave [0, 1]: forecasts do, and may be given again
UNCHECKED = "or turn the check off if they are meant so (check_range=False, --no_range_check)"


class Forecaster(Shared):
    """Goes in front of a trained method (see :func:`openstl_svq.load`) and forecasts in the data's own unit.

    Calling the method itself takes and gives normalised tensors, as in training.
    """

    def predict(
        self, frames: np.ndarray | Tensor, steps: int | None = None, *, check_range: bool = True
    ) -> np.ndarray | Tensor:
        """The forecast from ``frames``, which are normalised with the statistics that the method was trained with.

        Args:
            frames: the last ``pre_seq_length`` frames, ``(T, C, H, W)`` or a batch ``(B, T, C, H, W)``, an array or a
                tensor, in the unit of the training data; weather with latitudes from south to north (as in the files
                where the method was trained with the protocol ``openstl``).
            steps: frames to forecast (default: ``aft_seq_length``). For more, the method is fed its own output.
            check_range: refuse values that are far from those trained on, such as those of another unit.

        Returns:
            ``(steps, C, H, W)`` or ``(B, steps, C, H, W)`` in the unit of the training data, an array or a tensor as
            ``frames`` are; float64 if they are, else float32.

        Raises:
            ValueError: another shape, values that are not finite, values far from those trained on, a forecast that is
                not finite.
        """
        steps = checked_steps(self.hparams, steps)
        values = self._checked(frames if torch.is_tensor(frames) else _as_tensor(frames))
        mean, std = (
            torch.as_tensor(np.asarray(v), dtype=torch.float64)  # (1, C, 1, 1) or a number
            for v in (self.hparams.test_mean, self.hparams.test_std)
        )
        batch = values if values.ndim == 5 else values[None]
        batch = (batch.detach().to("cpu", torch.float64) - mean) / std  # on the CPU: not every device has float64
        if check_range:
            _refuse_far(batch, mean, std)
        weights = next(self.parameters(), batch).dtype
        forecast = self._forecast(batch.to(self.device, weights), steps).to("cpu", torch.float64) * std + mean
        if not torch.isfinite(forecast).all():
            raise ValueError(
                "the forecast has values that are NaN or infinite: the network does not bear these frames, or not as many "
                "steps of its own output."
            )
        forecast = forecast.to(torch.float64 if values.dtype == torch.float64 else torch.float32)
        forecast = forecast if values.ndim == 5 else forecast[0]
        return forecast.to(values.device) if torch.is_tensor(frames) else forecast.numpy()

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
        """``values``, if they are frames that this method can take."""
        shape, wanted = tuple(values.shape), (self.hparams.pre_seq_length, *self.hparams.in_shape[1:])
        if len(shape) not in (4, 5) or shape[-4:] != wanted:
            hint = ""
            if len(shape) in (4, 5) and shape[-3:] == wanted[1:] and shape[-4] > wanted[0]:
                hint = f" Give the last {wanted[0]} frames."
            elif len(shape) in (4, 5) and shape[-3:] == (*wanted[2:], wanted[1]):
                hint = " The channels stand last here and must stand before height and width."
            raise ValueError(
                f"frames of shape {shape}; this model takes (frames, channels, height, width) = {wanted}, "
                f"or a batch of them.{hint}"
            )
        if not values.numel():
            raise ValueError(f"frames of shape {shape} are an empty batch.")
        if values.is_complex():
            raise ValueError("frames must be real numbers, got complex ones.")
        bad = ~torch.isfinite(values)
        if bad.any():
            raise ValueError(
                f"{int(bad.sum())} of {bad.numel()} values are NaN or infinite, the first at "
                f"{tuple(bad.nonzero()[0].tolist())}. Fill them in: one spoils the whole forecast."
            )
        return values


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


def _refuse_far(normalised: Tensor, mean: Tensor, std: Tensor) -> None:
    if not mean.any() and (std == 1).all():  # trained on shares in [0, 1], as images are
        low, high = normalised.min().item(), normalised.max().item()
        if low < -_SLACK or high > 1 + _SLACK:
            raise ValueError(
                f"the values go from {low:.6g} to {high:.6g}; those trained on lie in [0, 1]. Give them "
                f"in the same unit, {UNCHECKED}."
            )
    distance = normalised.mean(dim=(0, 1, 3, 4)).abs()  # (C)
    channel = int(distance.argmax())
    if distance[channel] <= _FAR:
        return
    centre, spread = (v.flatten()[channel if v.numel() > 1 else 0].item() for v in (mean, std))
    found = normalised[:, :, channel] * spread + centre
    raise ValueError(
        f"the values of channel {channel} go from {found.min():.6g} to {found.max():.6g}; those trained "
        f"on have mean {centre:.6g} and standard deviation {spread:.6g}. Give them in the same unit, "
        f"{UNCHECKED}."
    )
