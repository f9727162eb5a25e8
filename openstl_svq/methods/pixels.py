"""What methods need that forecast frames of bounded values."""

import torch
from pytorch_lightning import LightningModule


def check_pixel_range(method: LightningModule) -> None:
    """Compares the network's ``pixel_max`` with the data, before training.

    Args:
        method: attached to its trainer.

    Raises:
        ValueError: frames outside ``[0, pixel_max]``, which the network could never forecast.
    """
    highest = method.model.pixel_max
    if highest is None:
        return
    frames = torch.cat(method.trainer.datamodule.valid_loader.dataset[0])
    low, high = frames.min().item(), frames.max().item()
    slack = 0.01 * highest
    if low < -slack or high > highest + slack:
        raise ValueError(
            f"{method.hparams.method} forecasts values in [0, pixel_max={highest:g}], and those of "
            f"{method.hparams.dataname}, as they are normalised, go from {low:.3g} to {high:.3g}. Set pixel_max=None for "
            "values without bounds (--cfg_options pixel_max=None)."
        )
