import torch
from torch import Tensor, nn

from .recurrent import StateConvolution, remember


class SpatiotemporalLSTMCell(nn.Module):
    """ST-LSTM (Wang et al. 2017, Eq. 3): a cell c that goes through time, a memory m that climbs through the layers.

        c' = f c + i g,      i, f, g from the input x and the hidden state h
        m' = f~ m + i~ g~,   i~, f~, g~ from x and m
        h' = o tanh(W [c', m']),   o from x, h, c' and m'

    Called with the convolved input (B, 7C, H, W), in the order i f g i~ f~ g~ o, and with h, c, m of (B, C, H, W);
    gives h', c', m' and the increments i g and i~ g~ of the two memories.
    """

    def __init__(self, inputs: int, width: int, filter_size: int, norm_grid: tuple[int, int] | None = None):
        super().__init__()
        self.conv_x = StateConvolution(inputs, 7 * width, filter_size, norm_grid)
        self.conv_h = StateConvolution(width, 4 * width, filter_size, norm_grid)
        self.conv_m = StateConvolution(width, 3 * width, filter_size, norm_grid)
        self.conv_o = StateConvolution(2 * width, width, filter_size, norm_grid)
        self.conv_last = nn.Conv2d(2 * width, width, 1, bias=False)
        self.width = width

    def forward(self, gates: Tensor, h: Tensor | None, c: Tensor | None, m: Tensor | None):
        width = self.width
        of_c, of_m, of_o = gates.split((3 * width, 3 * width, width), dim=1)
        recurrent, recurrent_o = self.conv_h(h).split((3 * width, width), dim=1)
        c, c_increment = remember(c, *(of_c + recurrent).chunk(3, dim=1))
        m, m_increment = remember(m, *(of_m + self.conv_m(m)).chunk(3, dim=1))
        both = torch.cat([c, m], dim=1)
        o = (of_o + recurrent_o + self.conv_o(both)).sigmoid()
        return o * self.conv_last(both).tanh(), c, m, c_increment, m_increment
