"""Signal-to-noise ratio."""

import torch
from torch import Tensor

from .base import Block, ImageMetric, register_metric


@register_metric("snr", "signal-to-noise ratio")
class SNR(ImageMetric):
    r""":math:`10 \log_{10} (\langle o^2 \rangle_{cij} / \langle e^2 \rangle_{cij})` for the truth o; infinity for a
    frame predicted exactly."""

    unit, rank, maskable = "dB", 8, True

    def statistic(self, block: Block) -> Tensor:
        signal = block.mean_over_frame(block.true_image.double().square())
        return torch.where(block.image_noise == 0, torch.inf, 10 * (signal / block.image_noise).log10())
