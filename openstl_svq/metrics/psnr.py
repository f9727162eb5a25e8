"""Peak signal-to-noise ratio."""

from torch import Tensor

from .base import Block, ImageMetric, register_metric


@register_metric("psnr", "peak signal-to-noise ratio")
class PSNR(ImageMetric):
    r""":math:`-10 \log_{10} \langle e^2 \rangle_{cij}`, for a peak of 1; infinity for a frame predicted exactly."""

    unit, headline, rank, maskable = "dB", True, 7, True

    def statistic(self, block: Block) -> Tensor:
        return -10 * block.image_noise.log10()
