import torch
from torch import Tensor, nn

from ..modules.recurrent import LayeredModel, State, StateConvolution, remember
from ..modules.spatiotemporal_lstm import SpatiotemporalLSTMCell


class _PeepholeLSTM(nn.Module):
    """A convolutional LSTM whose gates also see the cell, entry by entry (Wang et al. 2019, Eq. 2 and 3).

    c' = f c + i g, h' = o tanh(c'); the order of the gates is i g f o.
    """

    def add_lstm(self, width: int, filter_size: int, grid: tuple[int, int], norm_grid: tuple[int, int] | None) -> None:
        self.ct_weight = nn.Parameter(torch.zeros(2 * width, *grid))  # of i, f
        self.oc_weight = nn.Parameter(torch.zeros(width, *grid))
        self.conv_h_concat = StateConvolution(width, 4 * width, filter_size, norm_grid)
        self.conv_x_concat = StateConvolution(width, 4 * width, filter_size, norm_grid)

    def lstm(self, x: Tensor | None, h: Tensor | None, c: Tensor | None) -> tuple[Tensor, Tensor]:
        i, g, f, o = (self.conv_x_concat(x) + self.conv_h_concat(h)).chunk(4, dim=1)
        if c is not None:
            of_i, of_f = self.ct_weight.chunk(2)
            i, f = torch.addcmul(i, of_i, c), torch.addcmul(f, of_f, c)
        c, _ = remember(c, i, f, g)
        return torch.addcmul(o, self.oc_weight, c).sigmoid() * c.tanh(), c


class NonStationaryModule(_PeepholeLSTM):
    """MIM-N: follows the differences between consecutive hidden states."""

    def __init__(self, width: int, filter_size: int, grid: tuple[int, int], norm_grid: tuple[int, int] | None = None):
        super().__init__()
        self.add_lstm(width, filter_size, grid, norm_grid)
        self.conv_last = nn.Conv2d(2 * width, width, 1, bias=False).requires_grad_(False)  # in checkpoints, unused

    def forward(self, x: Tensor, h: Tensor | None, c: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.lstm(x, h, c)


class MemoryInMemoryBlock(_PeepholeLSTM):
    """An ST-LSTM whose forget gate is the module MIM-S, which the differences of MIM-N drive.

        c' = MIM-S(d, c) + i g,  m' = f~ m + i~ g~,  h' = o tanh(W [c', m'])

    Called with the hidden state x of the layer below, the difference d, and h, c, m and the cell s of MIM-S; gives
    h', c', m' and s'. As in OpenSTL, no gradient flows through s.
    """

    def __init__(self, width: int, filter_size: int, grid: tuple[int, int], norm_grid: tuple[int, int] | None = None):
        super().__init__()
        self.conv_t_cc = StateConvolution(width, 3 * width, filter_size, norm_grid)  # of h: i g o
        self.conv_s_cc = StateConvolution(width, 4 * width, filter_size, norm_grid)  # of m: i g f o
        self.conv_x_cc = StateConvolution(width, 4 * width, filter_size, norm_grid)  # of x: i g f o
        self.add_lstm(width, filter_size, grid, norm_grid)
        self.conv_last = nn.Conv2d(2 * width, width, 1, bias=False)

    def forward(self, x: Tensor, d: Tensor | None, h: Tensor | None, c: Tensor | None, m: Tensor, s: Tensor | None):
        i_x, g_x, f_x, o_x = self.conv_x_cc(x).chunk(4, dim=1)
        i_m, g_m, f_m, o_m = self.conv_s_cc(m).chunk(4, dim=1)
        i_h, g_h, o_h = self.conv_t_cc(h).chunk(3, dim=1)
        m, _ = remember(m, i_x + i_m, f_x + f_m, g_x + g_m)
        c, s = self.lstm(d, c, None if s is None else s.detach())
        c = torch.addcmul(c, (i_x + i_h).sigmoid(), (g_x + g_h).tanh())
        h = (o_x + o_h + o_m).sigmoid() * self.conv_last(torch.cat([c, m], dim=1)).tanh()
        return h, c, m, s


class MIM_Model(LayeredModel):
    """Memory in Memory (Wang et al. 2019, arXiv:1811.07490): an ST-LSTM layer, MIM blocks above it, MIM-N between.

    See :class:`LayeredModel` for the arguments.
    """

    def build_cells(self) -> None:
        width, *above = self.widths
        sizes = (width, self.filter_size, self.grid, self.norm_grid)
        first = SpatiotemporalLSTMCell(self.patch_channels, width, self.filter_size, self.norm_grid)
        self.stlstm_layer = nn.ModuleList([first, *(MemoryInMemoryBlock(*sizes) for _ in above)])
        self.stlstm_layer_diff = nn.ModuleList(NonStationaryModule(*sizes) for _ in above)

    def embed(self, frames: Tensor) -> tuple[Tensor, ...]:
        return (self.stlstm_layer[0].conv_x(frames),)

    def start(self, frame: Tensor, steps: int) -> State:
        state = super().start(frame, steps)
        return {
            **state,
            "s": list(state["h"]),
            "difference": list(state["h"]),
            "trend": list(state["h"]),
            "first": True,
        }

    def step(self, state: State, gates: Tensor) -> Tensor:
        h, c, s, difference, trend = (state[key] for key in ("h", "c", "s", "difference", "trend"))
        before = h[0]
        h[0], c[0], state["m"], *_ = self.stlstm_layer[0](gates, h[0], c[0], state["m"])
        difference[0] = h[0] if before is None else h[0] - before
        for i, (block, differences) in enumerate(zip(self.stlstm_layer[1:], self.stlstm_layer_diff), start=1):
            if not state["first"]:  # nothing to compare with before; the difference stays zero
                difference[i], trend[i] = differences(difference[i - 1], difference[i], trend[i])
            h[i], c[i], state["m"], s[i] = block(h[i - 1], difference[i], h[i], c[i], state["m"], s[i])
        state["first"] = False
        return self.conv_last(h[-1])
