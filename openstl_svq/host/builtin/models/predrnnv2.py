import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .predrnn import PredRNN_Model


class PredRNNv2_Model(PredRNN_Model):
    """PredRNN with memory decoupling (Wang et al. 2022, arXiv:2103.09504); see :class:`LayeredModel` for the arguments."""

    def build_layers(self) -> None:
        super().build_layers()
        self.adapter = nn.Conv2d(self.widths[0], self.widths[0], 1, bias=False)

    def penalty(self, state: dict) -> Tensor:
        """Mean |cosine| between the increments of cell and memory, over the grid, after one shared 1 x 1 convolution.

        Eq. (7) of the paper: the two memories are to learn different things.
        """
        increments = self.adapter(torch.cat(state["more"])).flatten(2)  # (steps * layers * 2 * B, C, H*W)
        cell, memory = F.normalize(increments, dim=2).unflatten(0, (len(state["more"]) // 2, 2, -1)).unbind(1)
        return (cell * memory).sum(dim=3).abs().mean()
