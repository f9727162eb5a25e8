"""The pictures of a run: one forecast, and the curves of its training."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from .experiment import Experiment


def draw(experiment: "Experiment") -> None:
    """``forecast.png`` and ``training.png`` in the run folder; one that cannot be drawn costs nothing else of a run."""
    pictures: dict[str, Callable[[Experiment], None]] = {"forecast.png": draw_forecast, "training.png": draw_training}
    for name, picture in pictures.items():
        try:
            picture(experiment)
        except Exception as error:  # a user's data can be such that no picture comes of them
            warnings.warn(f"{name} could not be drawn ({type(error).__name__}: {error})", stacklevel=2)


def draw_training(experiment: "Experiment") -> None:
    from ..figures.curves import plot_training

    folder, args = experiment.save_dir, experiment.args
    plot_training(folder / "training.png", folder, title=f"{args.dataname}, {args.method}")


@torch.inference_mode()
def draw_forecast(experiment: "Experiment") -> None:
    """One forecast of the middle of the test set, in the data's own unit."""
    from ..figures.forecast import plot_forecast

    dataset, index = experiment.data.test_loader.dataset, len(experiment.data.test_loader.dataset) // 2
    inputs, truth = (torch.as_tensor(v)[None] for v in dataset[index])
    method = experiment.method.eval()
    like = next(method.parameters())  # the network's precision may not be the data's
    prediction = method(inputs.to(like), truth.to(like)).float().cpu()
    physical = [
        (v[0] * experiment.data.test_std + experiment.data.test_mean).numpy() for v in (inputs, truth, prediction)
    ]
    physical = [v[:, ::-1] for v in physical] if experiment.data.blue_first else physical
    title, labels = f"{experiment.args.dataname}, {experiment.args.method}", {}
    if hasattr(dataset, "target_times") and dataset.target_times(index) is not None:
        before, after = dataset.input_times(index), dataset.target_times(index)
        labels = {"input_labels": _hours(before - before[-1]), "lead_labels": _hours(after - before[-1])}
        title += f", last input {str(before[-1].astype('M8[m]')).replace('T', ' ')}"
    else:
        title += f", test window {index + 1} of {len(dataset)}"
    channels = getattr(dataset, "channels", None)
    names, units = zip(*channels) if channels else (None, getattr(dataset, "units", None))
    plot_forecast(
        experiment.save_dir / "forecast.png",
        *physical,
        channel_names=names,
        units=units,
        title=title,
        lat=getattr(dataset, "lat", None),
        lon=getattr(dataset, "lon", None),
        **labels,
    )


def _hours(offsets: np.ndarray) -> list[str]:
    """Offsets from the last input, in hours, or in days where they are whole days and not few."""
    hours = offsets / np.timedelta64(1, "h")
    days = not (hours % 24).any() and np.abs(hours).max() > 72
    return [f"{hour / (24 if days else 1):+g} {'d' if days else 'h'}".replace("-", "\N{MINUS SIGN}") for hour in hours]
