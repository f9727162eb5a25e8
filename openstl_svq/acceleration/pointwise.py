"""1 x 1 convolutions as one matrix product over all pixels of all maps."""

from torch import Tensor, nn
from torch.nn import functional as F

from ..compiled import is_traced


class PointwiseConv2d(nn.Conv2d):
    """``nn.Conv2d`` with a 1 x 1 kernel; on channels-last maps a linear layer, which neither copies nor fills a map.

    On other maps and in a trace it is torch's. Parameters and results are ``nn.Conv2d``'s.
    """

    def forward(self, x: Tensor) -> Tensor:
        channels_last = x.ndim == 4 and x.stride(1) == 1  # or a slice of the channels of such a map
        if not channels_last or is_traced():
            return super().forward(x)
        n, _, h, w = x.shape
        tokens = x.permute(0, 2, 3, 1).reshape(n * h * w, -1)
        return F.linear(tokens, self.weight.flatten(1), self.bias).view(n, h, w, -1).permute(0, 3, 1, 2)


def is_pointwise(module: nn.Module) -> bool:
    """Whether ``module`` is a convolution that can become a :class:`PointwiseConv2d`."""
    return (
        type(module) is nn.Conv2d
        and module.kernel_size == module.stride == (1, 1)
        and module.padding in ("same", "valid", (0, 0))
        and module.groups == 1
    )
