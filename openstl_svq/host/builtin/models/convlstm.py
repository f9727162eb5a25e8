from torch import Tensor, nn

from ..modules.recurrent import LayeredModel, StateConvolution, freeze_unused, remember


class ConvLSTMCell(nn.Module):
    """c' = f c + i g, h' = o tanh(c'), all gates from the convolved input and the convolved h (Shi et al. 2015, Eq. 3,
    without the peepholes). The order of the gates is i f g o."""

    def __init__(self, inputs: int, width: int, filter_size: int, norm_grid: tuple[int, int] | None = None):
        super().__init__()
        self.conv_x = StateConvolution(inputs, 4 * width, filter_size, norm_grid)
        self.conv_h = StateConvolution(width, 4 * width, filter_size, norm_grid)
        self.conv_o = StateConvolution(2 * width, width, filter_size, norm_grid)
        self.conv_last = nn.Conv2d(2 * width, width, 1, bias=False)
        freeze_unused(self.conv_o, self.conv_last)

    def forward(self, gates: Tensor, h: Tensor | None, c: Tensor | None, m: Tensor | None):
        i, f, g, o = (gates + self.conv_h(h)).chunk(4, dim=1)
        c, _ = remember(c, i, f, g, forget_bias=0.0)
        return o.sigmoid() * c.tanh(), c, m


class ConvLSTM_Model(LayeredModel):
    """Convolutional LSTM (Shi et al. 2015, arXiv:1506.04214); see :class:`LayeredModel` for the arguments."""

    cell_class = ConvLSTMCell
    equal_widths = None
