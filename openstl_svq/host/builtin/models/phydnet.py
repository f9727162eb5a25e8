import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..modules.recurrent import RecurrentModel, State

_LATENT, _DERIVATIVES, _KERNEL = 64, 49, 7
_LSTM_WIDTHS = (128, 128, 64)


class PhyCell(nn.Module):
    """A step of a learnt partial differential equation, corrected by the input (Le Guen & Thome 2020, Eq. 5 and 6).

    prediction p = h + F(h), correction h' = p + K (x - p), with the gain K from x and h. ``F`` is a linear combination
    (``conv2``) of 49 filters of 7 x 7, each of which is trained towards one partial derivative.
    """

    def __init__(self) -> None:
        super().__init__()
        self.F = _named(
            conv1=nn.Conv2d(_LATENT, _DERIVATIVES, _KERNEL, padding=_KERNEL // 2),
            bn1=nn.GroupNorm(7, _DERIVATIVES),
            conv2=nn.Conv2d(_DERIVATIVES, _LATENT, 1),
        )
        self.convgate = nn.Conv2d(2 * _LATENT, _LATENT, 3, padding=1)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        gain = self.convgate(torch.cat([x, h], dim=1)).sigmoid()
        return torch.lerp(h + self.F(h), x, gain)


class ConvLSTMCell(nn.Module):
    """A convolutional LSTM with one convolution of [x, h] for the gates i f o g."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs + width, 4 * width, 3, padding=1)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        i, f, o, g = self.conv(torch.cat([x, h], dim=1)).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class KernelMoments(nn.Module):
    """Moments of square kernels: entry (i, j) is the sum over (u, v) of u^i v^j / (i! j!) k(u, v), u and v from the centre.

    A kernel with moment (i, j) 1 and all others 0 is the partial derivative of these orders. (..., s, s) -> same shape.
    The buffers, in double precision, have the names of OpenSTL's checkpoints.
    """

    def __init__(self, size: int):
        super().__init__()
        offsets = torch.arange(size, dtype=torch.float64) - (size - 1) // 2
        powers = torch.stack([offsets**i / math.factorial(i) for i in range(size)])
        for axis in range(2):
            self.register_buffer(f"_M{axis}", powers.clone())
            self.register_buffer(f"_invM{axis}", torch.linalg.inv(powers))

    def forward(self, kernels: Tensor) -> Tensor:
        return self._M0 @ kernels.double() @ self._M1.T


class PhyDNet_Model(RecurrentModel):
    """PhyDNet (Le Guen & Thome 2020, arXiv:2003.01460): a latent space of physics (PhyCell) plus one of the rest (ConvLSTM).

    Args:
        in_shape: (T, C, H, W) of the input.
        aft_seq_length: frames to forecast, each within (0, 1): the last layer is a sigmoid.
        patch_size: downsampling of the encoder, 2 or 4.
    """

    def __init__(self, in_shape: Sequence[int], aft_seq_length: int, patch_size: int = 4):
        if patch_size not in (2, 4):
            raise ValueError(
                f"patch_size={patch_size}: PhyDNet's encoder halves the grid once or twice; take {2 if patch_size < 3 else 4}."
            )
        super().__init__(in_shape, aft_seq_length, downsampling=patch_size)
        channels, half, last = self.patch_channels, _LATENT // 2, patch_size // 2
        self.phycell = nn.ModuleDict({"cell_list": nn.ModuleList([PhyCell()])})
        inputs = (_LATENT, *_LSTM_WIDTHS)
        self.convcell = nn.ModuleDict(
            {"cell_list": nn.ModuleList(ConvLSTMCell(i, width) for i, width in zip(inputs, _LSTM_WIDTHS))}
        )
        self.encoder = nn.ModuleDict()
        self.encoder["encoder_E"] = _named(
            c1=_block(channels, half, 2), c2=_block(half, half), c3=_block(half, _LATENT, last)
        )
        for name in ("encoder_Ep", "encoder_Er"):
            self.encoder[name] = _named(c1=_block(_LATENT, _LATENT), c2=_block(_LATENT, _LATENT))
        for name in ("decoder_Dp", "decoder_Dr"):
            self.encoder[name] = _named(upc1=_block(_LATENT, _LATENT, up=True), upc2=_block(_LATENT, _LATENT, up=True))
        self.encoder["decoder_D"] = _named(
            upc1=_block(_LATENT, half, 2, up=True), upc2=_block(half, half, up=True), upc3=_up(half, channels, last)
        )
        self.encoder.update({"phycell": self.phycell, "convcell": self.convcell})  # twice in OpenSTL's checkpoints
        self.k2m = KernelMoments(_KERNEL)

    def embed(self, frames: Tensor) -> tuple[Tensor, ...]:
        latent = self.encoder["encoder_E"](frames)
        return self.encoder["encoder_Ep"](latent), self.encoder["encoder_Er"](latent)

    def start(self, frame: Tensor, steps: int) -> State:
        empty = [frame.new_zeros(len(frame), width, *self.grid) for width in _LSTM_WIDTHS]
        return {"physics": frame.new_zeros(len(frame), _LATENT, *self.grid), "h": empty, "c": list(empty)}

    def step(self, state: State, physics: Tensor, rest: Tensor) -> Tensor:
        (phycell,) = self.phycell["cell_list"]
        state["physics"] = phycell(physics, state["physics"])
        h, c = state["h"], state["c"]
        for i, cell in enumerate(self.convcell["cell_list"]):
            h[i], c[i] = cell(h[i - 1] if i else rest, h[i], c[i])
        both = self.encoder["decoder_Dp"](state["physics"]) + self.encoder["decoder_Dr"](h[-1])
        return self.encoder["decoder_D"](both).sigmoid()

    def penalty(self, state: State) -> Tensor:
        """Moment loss (Section 3.3): the squared error of the filters' moments, summed over the latent channels."""
        moments = self.k2m(self.phycell["cell_list"][0].F.conv1.weight).float()  # (49, 64, 7, 7)
        wanted = torch.eye(_DERIVATIVES, device=moments.device).view(_DERIVATIVES, 1, _KERNEL, _KERNEL)
        return _LATENT * F.mse_loss(moments, wanted.expand_as(moments))


def _named(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


def _up(inputs: int, outputs: int, stride: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 3, stride=stride, padding=1, output_padding=stride - 1)


def _block(inputs: int, outputs: int, stride: int = 1, *, up: bool = False) -> nn.Sequential:
    """Convolution, GroupNorm of 16 groups, leaky ReLU."""
    layer = _up(inputs, outputs, stride) if up else nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
    return _named(main=nn.Sequential(layer, nn.GroupNorm(16, outputs), nn.LeakyReLU(0.2, inplace=True)))
