from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..modules.recurrent import RecurrentModel, State, check_convolution, widths

_WINDOW = 2  # frames that a state covers
_KERNEL = (_WINDOW, 5, 5)


class WindowConvolution(nn.Module):
    """A 3D convolution over a whole window, whose one frame of output stands for every frame of the window.

    With a kernel as deep as the window it is a 2D convolution of all its frames, and is computed as one.
    (B, C, 2, H, W) -> (B, C', 1, H, W).
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, outputs, _KERNEL, padding=(0, 2, 2), bias=False)

    def forward(self, window: Tensor) -> Tensor:
        return F.conv2d(window.flatten(1, 2), self.conv3d.weight.flatten(1, 2), padding=2).unsqueeze(2)

    def each(self, frames: Tensor) -> Tensor:
        """What a frame adds as the earlier and as the later one of a window: (N, C, H, W) -> (N, 2C', H, W)."""
        return F.conv2d(frames, self.conv3d.weight.movedim(2, 0).flatten(0, 1), padding=2)


class _Normed(nn.Sequential):
    """A window convolution, and a LayerNorm of both frames where there is a ``norm_grid``."""

    def __init__(self, inputs: int, outputs: int, norm_grid: Sequence[int] | None):
        norm = [nn.LayerNorm([outputs, _WINDOW, *norm_grid])] if norm_grid else []
        super().__init__(WindowConvolution(inputs, outputs), *norm)

    def forward(self, window: Tensor) -> Tensor:
        return self.norm(self[0](window))

    def norm(self, x: Tensor) -> Tensor:
        return self[1](_both(x)) if len(self) > 1 else x


def _both(x: Tensor) -> Tensor:
    """(B, C, 1 or 2, H, W) -> (B, C, 2, H, W)."""
    return x.expand(-1, -1, _WINDOW, -1, -1)


class _Pointwise(nn.Module):
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3d(x)


class EideticLSTMCell(nn.Module):
    """Eidetic 3D LSTM (Wang et al. 2019, Eq. 2): in place of a forget gate, attention over all earlier cells.

        c' = LayerNorm(c + softmax(r C^T) C) + i g,   C all cells up to now, r the recall gate
        m' = f~ tanh(W m) + i~ g~
        h' = sigmoid(tanh(..)) tanh(W [c', m']),        the first factor from x, h, c' and m'

    The order of the gates is i g r o i~ g~ f~ in ``conv_x``, i g r o in ``conv_h``, i~ f~ g~ and m in ``conv_gm``.

    As in OpenSTL, m' goes into h' and not to the next layer: the memory m is zero everywhere and always. What
    ``conv_gm`` makes of it is the same in all steps, and is handed in.
    """

    def __init__(self, inputs: int, width: int, grid: Sequence[int], norm_grid: Sequence[int] | None):
        super().__init__()
        self._norm_c_t = nn.LayerNorm([width, _WINDOW, *grid])
        self.conv_x = _Normed(inputs, 7 * width, norm_grid)
        self.conv_h = _Normed(width, 4 * width, norm_grid)
        self.conv_gm = _Normed(width, 4 * width, norm_grid)
        self.conv_new_cell = _Normed(width, width, norm_grid)
        self.conv_new_gm = _Normed(width, width, norm_grid)
        self.conv_last = _Pointwise(2 * width, width)

    def forward(self, gates: Tensor, memory_gates: Tensor, h: Tensor, c: Tensor, earlier: Tensor):
        """``gates``, ``memory_gates``: convolved x and m; h, c: (B, C, 2, H, W); earlier: (B, tokens, C)."""
        i_x, g_x, r_x, o_x, i_x2, g_x2, f_x2 = gates.chunk(7, dim=1)
        i_h, g_h, r_h, o_h = self.conv_h(h).chunk(4, dim=1)
        i_m, f_m, g_m, kept = memory_gates.chunk(4, dim=1)
        query = _tokens(_both((r_x + r_h).sigmoid()))
        recalled = F.scaled_dot_product_attention(query[:, None], earlier[:, None], earlier[:, None], scale=1.0)
        c = self._norm_c_t(c + recalled.reshape(c.shape)) + (i_x + i_h).sigmoid() * (g_x + g_h).tanh()
        m = (f_x2 + f_m + 1.0).sigmoid() * kept.tanh() + (i_x2 + i_m).sigmoid() * (g_x2 + g_m).tanh()
        m = _both(m)
        o = (o_x + o_h + self.conv_new_cell(c) + self.conv_new_gm(m)).tanh().sigmoid()
        return o * self.conv_last(torch.cat([c, m], dim=1)).tanh(), c


def _tokens(x: Tensor) -> Tensor:
    """(B, C, 2, H, W) -> (B, 2*H*W, C), each token C neighbours in memory: OpenSTL's layout, which mixes channels."""
    return x.reshape(len(x), -1, x.shape[1])


class E3DLSTM_Model(RecurrentModel):
    """Eidetic 3D LSTM (Wang et al. 2019): states cover a window of two frames.

    Args:
        in_shape: (T, C, H, W) of the input.
        aft_seq_length: frames to forecast.
        num_hidden: channels of each layer, ``"128,128,128,128"`` or a list; all the same.
        stride: 1; there for OpenSTL's configuration files. The kernels are 2 x 5 x 5.
        patch_size: side of the patches that become channels.
        layer_norm: a LayerNorm after each convolution.
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        aft_seq_length: int,
        num_hidden: str | Sequence[int] = "128,128,128,128",
        stride: int = 1,
        patch_size: int = 2,
        layer_norm: bool = False,
    ):
        super().__init__(in_shape, aft_seq_length, patch_size)
        check_convolution(_KERNEL[-1], stride)
        layers = widths(num_hidden, "the memory passes through all layers")
        self.width = layers[0]
        norm_grid = self.grid if layer_norm else None
        self.cell_list = nn.ModuleList(
            EideticLSTMCell(self.width if i else self.patch_channels, self.width, self.grid, norm_grid)
            for i in range(len(layers))
        )
        size = (_WINDOW, 1, 1)
        self.conv_last = nn.Conv3d(self.width, self.patch_channels, size, stride=size, bias=False)

    def embed(self, frames: Tensor) -> tuple[Tensor, ...]:
        return self.cell_list[0].conv_x[0].each(frames).chunk(2, dim=1)

    def start(self, frame: Tensor, steps: int) -> State:
        empty = frame.new_zeros(len(frame), self.width, _WINDOW, *self.grid)
        layers = len(self.cell_list)
        return {
            "h": [empty] * layers,
            "c": [empty] * layers,
            "earlier": [frame.new_zeros(len(frame), 0, self.width)] * layers,
            "memory_gates": [cell.conv_gm(empty[:1]) for cell in self.cell_list],
            "before": 0.0,  # what the frame before adds to the first convolution
        }

    def step(self, state: State, as_earlier: Tensor, as_later: Tensor) -> Tensor:
        h, c, earlier = state["h"], state["c"], state["earlier"]
        first = self.cell_list[0].conv_x
        gates = first.norm((as_later + state["before"]).unsqueeze(2))
        state["before"] = as_earlier
        for i, cell in enumerate(self.cell_list):
            if i:
                gates = cell.conv_x(h[i - 1])
            earlier[i] = torch.cat([earlier[i], _tokens(c[i])], dim=1)
            h[i], c[i] = cell(gates, state["memory_gates"][i], h[i], c[i], earlier[i])
        weight = self.conv_last.weight.flatten(1, 2)
        return F.conv2d(h[-1].flatten(1, 2), weight)
