"""The arrays of a trained run that figures are drawn from, each computed once, when it is asked for."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import load
from ..data.formats.weatherbench import VARIABLES
from ..data.registry import dataset_or_default
from ..data.sources import Grid
from ..data.times import Clock
from ..data.windows import restored
from ..host import load_data
from ..predict.export import is_export
from ..predict.hub import find_model
from ..quantizers import QuantizerOutput
from ..training.experiment import Experiment
from ..training.run_folder import locate, run_folder

_BATCH = 16
_TOKENS = 4096  # of which regression weights and codes are looked at: tokens x codes numbers


def offsets(times: np.ndarray, last: np.datetime64, clock: Clock) -> tuple[np.ndarray, str]:
    """``times`` from ``last`` on, and their unit: months where there is a frame a month, days where they are whole days and
    more than three, else hours."""
    steps = clock.steps(times) - clock.steps(last)
    if clock.monthly:
        return steps, "months"
    hours = steps / 60
    if not (hours % 24).any() and np.abs(hours).max(initial=0) > 72:
        return hours / 24, "d"
    return hours, "h"


def long_name(channel: str, grid: Grid | None = None) -> str:
    """A channel's name for people: that of the file it is from, or WeatherBench's; levels stay behind it.

    >>> long_name("t2m"), long_name("r 500"), long_name("sst")
    ('near-surface air temperature', 'relative humidity 500', 'sst')
    """
    name, space, level = channel.partition(" ")
    given = {variable: attributes.get("long_name") for variable, attributes, _ in grid.variables} if grid else {}
    if channel in given:
        return str(given[channel] or channel)
    known = VARIABLES[name].long_name if name in VARIABLES and not grid else None
    return f"{given.get(name) or known or name}{space}{level}"


class TrainedRun:
    """A trained model and some windows of its test set, evenly spread.

    Args:
        place: a run folder, a checkpoint, a shared or packaged model, or an experiment, whose weights and data are taken as they are.
        data_root: where the data lie, if not where they lay in training.
        samples: at most so many windows.

    Raises:
        FileNotFoundError, ValueError: no such run, or its data are not there.
    """

    def __init__(self, place: str | Path | Experiment, *, data_root: str | Path | None = None, samples: int = 64):
        if samples < 1:
            raise ValueError(f"samples must be 1 or more, got {samples}.")
        if isinstance(place, Experiment):
            self.model, self.config, self.folder = place.method.eval(), place.config, place.save_dir
            self.dataset = place.data.test_loader.dataset
        else:
            self.model = load(place)
            self.config = dict(self.model.hparams) | {"num_workers": 0}
            if data_root is not None:
                self.config["data_root"] = str(data_root)
            found = find_model(place)
            if not is_export(found):
                self.folder = run_folder(locate(place))
            else:  # figures of a packaged model belong to who draws them
                self.folder = found if Path(place).exists() else Path(found.name)
            self.dataset = load_data(**self.config)[2].dataset
        self.name = self.folder.resolve().name
        self.samples = np.unique(np.linspace(0, len(self.dataset) - 1, samples).round().astype(int))

    @property
    def quantizer(self) -> torch.nn.Module:
        """The run's quantizer.

        Raises:
            ValueError: it has none.
        """
        found = getattr(self.model.model, "quantizer", None)
        if found is None:
            raise ValueError(
                f"{self.name} has no quantizer (method {self.config['method']}): there is no codebook to draw."
            )
        return found

    @cached_property
    def codebook(self) -> np.ndarray:
        """``(N, C')``."""
        codebook = getattr(self.quantizer, "codebook", None)
        if codebook is None:
            raise ValueError(f"the quantizer {self.config['quantizer']!r} of {self.name} has no codebook of vectors.")
        return codebook.detach().float().numpy()

    @cached_property
    def _pass(self) -> dict[str, np.ndarray]:
        """One pass over the windows: frames in the data's unit, and the latent before and after the quantizer."""
        found: dict[str, list[Tensor]] = {}
        latents: list[tuple[Tensor, Tensor]] = []

        def note(module, inputs: tuple[Tensor, ...], output: QuantizerOutput) -> None:
            latents.append((inputs[0].detach(), output.quantized.detach()))

        quantizer = getattr(self.model.model, "quantizer", None)
        handle = quantizer.register_forward_hook(note) if quantizer is not None else None
        try:
            for begin in range(0, len(self.samples), _BATCH):
                latents.clear()
                frames = self.forecast(self.samples[begin : begin + _BATCH])
                for name, value in zip(("inputs", "truth", "prediction"), frames):
                    found.setdefault(name, []).append(torch.from_numpy(value))
                if latents:  # of a roll-out the first pass: later ones are fed forecasts
                    for name, value in zip(("before", "after"), latents[0]):
                        found.setdefault(name, []).append(value)
        finally:
            if handle is not None:
                handle.remove()
        return {name: torch.cat(values).numpy() for name, values in found.items()}

    @torch.no_grad()
    def forecast(self, indices: Sequence[int]) -> list[np.ndarray]:
        """Inputs ``(n, T_in, C, H, W)``, truth and prediction ``(n, T_out, C, H, W)`` of some windows, in the data's unit."""
        windows = [self.dataset[int(i)] for i in indices]
        x, y = (torch.stack([torch.as_tensor(w[k]) for w in windows]) for k in (0, 1))
        like = next(self.model.parameters())  # the network's precision may not be the data's
        prediction = self.model(x.to(like), y.to(like)).float().cpu()
        times = [self.times(int(i)) for i in indices]
        before, after = (None, None) if None in times else map(np.stack, zip(*times))
        hparams = self.model.hparams
        mean, std = (np.asarray(v, dtype=np.float32) for v in (hparams.test_mean, hparams.test_std))
        cycle, missing = (getattr(self.dataset, key, None) for key in ("cycle", "missing"))
        return [
            restored(v.numpy(), when, mean, std, cycle, missing).astype(np.float32)
            for v, when in ((x, before), (y, after), (prediction, after))
        ]

    @property
    def forecasts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Inputs ``(n, T_in, C, H, W)``, truth and prediction ``(n, T_out, C, H, W)``, in the data's unit."""
        return self._pass["inputs"], self._pass["truth"], self._pass["prediction"]

    @property
    def latents(self) -> tuple[np.ndarray, np.ndarray]:
        """Before and after the quantizer: ``(n * T_in, C', H', W')``."""
        self.quantizer  # noqa: B018  (its error is clearer than a missing key)
        return self._pass["before"], self._pass["after"]

    @cached_property
    def tokens(self) -> Tensor:
        """Evenly spread tokens of the latent before the quantizer, as ``(1, C', 1, tokens)``."""
        before = torch.from_numpy(self.latents[0]).movedim(1, -1).flatten(0, -2)  # (T, C')
        chosen = torch.linspace(0, len(before) - 1, min(_TOKENS, len(before))).round().long()
        return before[chosen].T[None, :, None]  # (1, C', 1, t)

    @cached_property
    def weights(self) -> np.ndarray:
        """SVQ's regression weights of :attr:`tokens`: ``(t, N)``."""
        if not hasattr(self.quantizer, "regression_weights"):
            raise ValueError(f"the quantizer {self.config['quantizer']!r} of {self.name} has no regression weights.")
        with torch.no_grad():
            return torch.cat(list(self.quantizer.regression_weights(self.tokens))).float().numpy()

    def active_codes(self, count: int = 8, theta: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
        """The ``count`` codes whose activity varies most over the map, and how often each is active at each place.

        A code is active where its standardised weight exceeds ``theta`` in size (Appendix A.4 of the paper).

        Returns:
            Shares of the frames ``(count, H', W')``, numbers of the codes ``(count,)``.
        """
        mean, std = float(self.weights.mean()), float(self.weights.std())
        before = torch.from_numpy(self.latents[0])
        marks: Tensor | int = 0
        for frame in before.split(1):  # all frames at once would be frames x places x codes numbers
            with torch.no_grad():
                weights = torch.cat(list(self.quantizer.regression_weights(frame)))  # (H' * W', N)
            marks = marks + ((weights - mean).abs() > theta * std).float()
        share = marks / len(before)
        codes = share.var(0).topk(min(count, share.shape[1])).indices.sort().values
        return share[:, codes].T.reshape(len(codes), *before.shape[2:]).numpy(), codes.numpy()

    # what is known of the data

    @property
    def title(self) -> str:
        """What the data are called, in their own words where they have any, and the method."""
        return f"{getattr(self.dataset, 'title', None) or self.config['dataname']}, {self.config['method']}"

    @property
    def blue_first(self) -> bool:
        """Whether the channels of the frames are blue, green, red."""
        otherwise = dataset_or_default(self.config["dataname"]).image_format.blue_first
        return getattr(self.dataset, "blue_first", otherwise)  # OpenSTL's own datasets do not say

    @property
    def unit(self) -> str:
        """Unit of the first channel."""
        channels = getattr(self.dataset, "channels", None)
        return (channels[0][1] if channels else getattr(self.dataset, "units", None)) or ""

    @property
    def channels(self) -> tuple[list[str] | None, list[str | None]]:
        """Names, long ones where the data have them, and units of all channels; no names of a single unnamed one."""
        channels = getattr(self.dataset, "channels", None)
        if not channels:
            return None, [getattr(self.dataset, "units", None)] * self.config["in_shape"][1]
        return [long_name(name, getattr(self.dataset, "grid", None)) for name, _ in channels], [u for _, u in channels]

    @property
    def lat(self) -> np.ndarray | None:
        """Latitudes ``(H,)``, degrees."""
        return getattr(self.dataset, "lat", None)

    @property
    def lon(self) -> np.ndarray | None:
        """Longitudes ``(W,)``, degrees."""
        return getattr(self.dataset, "lon", None)

    @property
    def latent_coordinates(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Latitudes and longitudes of the latent's grid; none where the data have none or it does not divide theirs."""
        height, width = self.latents[0].shape[2:]
        if self.lat is None or self.lon is None or len(self.lat) % height or len(self.lon) % width:
            return None, None
        return np.asarray(self.lat).reshape(height, -1).mean(1), np.asarray(self.lon).reshape(width, -1).mean(1)

    def error(self, forecast: np.ndarray) -> np.ndarray:
        """``forecast`` minus truth in the first channel: ``(n, T_out, C, H, W)`` -> float64 ``(n, T_out, H, W)``."""
        return forecast[:, :, 0].astype(np.float64) - self.forecasts[1][:, :, 0]

    @property
    def lead_times(self) -> tuple[np.ndarray, str]:
        """Of the target frames, ``(T_out,)``, and what they are: hours, days, months, or steps where there are no times."""
        steps = self.forecasts[1].shape[1]
        times = self.times(0)
        if times is None:
            return np.arange(1, steps + 1), "lead time (steps)"
        before, after = times
        leads, unit = offsets(after, before[-1], self.clock)
        return leads, f"lead time ({unit})"

    @property
    def clock(self) -> Clock:
        """How the frames follow each other."""
        return getattr(self.dataset, "clock", None) or Clock()

    @property
    def months(self) -> np.ndarray | None:
        """Month (1 to 12) of each target frame, ``(n, T_out)``; ``None`` where the data have no times."""
        times = [self.times(int(i)) for i in self.samples]
        if any(t is None for t in times):
            return None
        after = np.stack([t[1] for t in times if t is not None]).astype("datetime64[M]")
        return after.astype(np.int64) % 12 + 1

    def times(self, index: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Of the input and the target frames of a window; ``None`` where the data have no times."""
        if not hasattr(self.dataset, "target_times") or self.dataset.target_times(index) is None:
            return None
        return tuple(
            np.asarray(f(index)).astype("datetime64[m]") for f in (self.dataset.input_times, self.dataset.target_times)
        )
