import torch
from torch import Tensor, nn

from ..modules.recurrent import LayeredModel, State, StateConvolution, freeze_unused, remember


class CausalLSTMCell(nn.Module):
    """Causal LSTM (Wang et al. 2018, Eq. 2): the memory is updated after the cell, and from it.

        c' = f c + i g,               i, f, g from x, h and c
        m' = f~ tanh(W m) + i~ g~,    i~, f~, g~ from x and c', and i~, f~ also from m
        h' = tanh(..) tanh(W [c', m']),   the first factor from x, h, c' and m'

    Called with the convolved input (B, 7C, H, W), in the order i f g i~ f~ g~ o.
    """

    def __init__(self, inputs: int, width: int, filter_size: int, norm_grid: tuple[int, int] | None = None):
        super().__init__()
        for name, sources, outputs in (
            ("conv_x", inputs, 7 * width),
            ("conv_h", width, 4 * width),  # i f g o
            ("conv_c", width, 3 * width),  # i f g
            ("conv_m", width, 3 * width),  # i~ f~, and the memory itself
            ("conv_o", 2 * width, width),
            ("conv_c2m", width, 4 * width),  # i~ g~ f~ o
            ("conv_om", width, width),
        ):
            self.add_module(name, StateConvolution(sources, outputs, filter_size, norm_grid))
        self.conv_last = nn.Conv2d(2 * width, width, 1, bias=False)
        freeze_unused(self.conv_o)
        self.width = width

    def forward(self, gates: Tensor, h: Tensor | None, c: Tensor | None, m: Tensor | None):
        width = self.width
        of_c, i, f, g, o = gates.split((3 * width, *[width] * 4), dim=1)
        of_h, o_h = self.conv_h(h).split((3 * width, width), dim=1)
        c, _ = remember(c, *(of_c + of_h + self.conv_c(c)).chunk(3, dim=1))
        i_c, g_c, f_c, o_c = self.conv_c2m(c).chunk(4, dim=1)
        i_m, f_m, kept = self.conv_m(m).chunk(3, dim=1)
        m, _ = remember(kept.tanh(), i + i_m + i_c, f + f_m + f_c, g + g_c)
        h = (o + o_h + o_c + self.conv_om(m)).tanh() * self.conv_last(torch.cat([c, m], dim=1)).tanh()
        return h, c, m


class GradientHighway(nn.Module):
    """z' = u p + (1 - u) z, with p (tanh) and u (sigmoid) from x and z (Wang et al. 2018, Eq. 3)."""

    def __init__(self, width: int, filter_size: int, norm_grid: tuple[int, int] | None = None):
        super().__init__()
        self.z_concat = StateConvolution(width, 2 * width, filter_size, norm_grid)
        self.x_concat = StateConvolution(width, 2 * width, filter_size, norm_grid)
        for branch in (self.z_concat, self.x_concat):
            nn.init.uniform_(branch[0].weight, -0.001, 0.001)

    def forward(self, x: Tensor, z: Tensor | None) -> Tensor:
        p, u = (self.x_concat(x) + self.z_concat(z)).chunk(2, dim=1)
        return p.tanh() * u.sigmoid() if z is None else torch.lerp(z, p.tanh(), u.sigmoid())


class PredRNNpp_Model(LayeredModel):
    """PredRNN++ (Wang et al. 2018, arXiv:1804.06300): causal LSTM layers, a gradient highway above the first.

    See :class:`LayeredModel` for the arguments; two layers or more.
    """

    cell_class = CausalLSTMCell

    def build_cells(self) -> None:
        if len(self.widths) < 2:
            raise ValueError(
                f"num_hidden={self.widths}: the gradient highway stands between two layers; give two or more."
            )
        self.gradient_highway = GradientHighway(self.widths[0], self.filter_size, self.norm_grid)
        super().build_cells()

    def start(self, frame: Tensor, steps: int) -> State:
        state = super().start(frame, steps)
        return {**state, "z": state["h"][0]}

    def between(self, layer: int, state: State) -> Tensor:
        if layer == 1:
            state["z"] = self.gradient_highway(state["h"][0], state["z"])
            return state["z"]
        return super().between(layer, state)
