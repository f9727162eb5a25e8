"""Power spectra of forecast and truth: does the forecast blur?"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from .registry import register_figure
from .style import SMALL, TEXT, tidy, with_unit
from .trained_run import TrainedRun


def power_spectrum(frames: np.ndarray) -> np.ndarray:
    """Mean power along rows (longitude) by wavenumber 1 ... W // 2: of ``(..., H, W)``; the mean of a row is left out.

    Parseval: the sum over all wavenumbers is the variance along rows.
    """
    frames = np.asarray(frames, dtype=np.float64)
    width = frames.shape[-1]
    power = np.abs(np.fft.rfft(frames, axis=-1) / width) ** 2
    power[..., 1 : (width + 1) // 2] *= 2  # each but the highest of an even width stands for two
    return power[..., 1:].reshape(-1, width // 2).mean(0)


def plot_spectra(spectra: Mapping[str, np.ndarray], unit: str = "") -> Figure:
    """Spectra by wavenumber, and below them their ratio to the first, which is the truth.

    Args:
        spectra: name -> :func:`power_spectrum`.
        unit: of the data.
    """
    (truth, reference), *others = spectra.items()
    figure = Figure(layout="constrained", dpi=150, figsize=(4.4, 4.2))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    wavenumber = np.arange(1, len(reference) + 1)
    above.loglog(wavenumber, reference, color="black", linewidth=1.4, label=truth)
    below.axhline(1, color="black", linewidth=0.8)
    for number, (name, power) in enumerate(others):
        above.loglog(wavenumber, power, color=f"C{number}", linewidth=1.2, label=name)
        below.loglog(wavenumber, power / np.where(reference > 0, reference, np.nan), color=f"C{number}", linewidth=1.2)
    low, high = below.get_ylim()
    below.set_ylim(min(low, 0.5), max(high, 2))  # half and twice the power are seen for what they are
    for axis in (below.xaxis, below.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    above.set_ylabel(with_unit("power", unit and f"({unit})^2" if " " in unit else unit and f"{unit}^2"), fontsize=TEXT)
    below.set_ylabel(f"ratio to {truth}", fontsize=TEXT)
    below.set_xlabel("wavenumber along rows (waves in the width of the frame)", fontsize=TEXT)
    above.legend(fontsize=SMALL, frameon=False)
    for axis in (above, below):
        tidy(axis)
    return figure


@register_figure("spectra", "power spectra of forecast and truth: does the forecast blur?", several=True)
def spectra(runs: Sequence[TrainedRun]) -> Figure:
    truth = power_spectrum(runs[0].forecasts[1][:, :, 0])
    return plot_spectra(
        {"truth": truth, **{run.name: power_spectrum(run.forecasts[2][:, :, 0]) for run in runs}}, runs[0].unit
    )
