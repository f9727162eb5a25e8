import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from openstl_svq.naming import choose

from ..modules.recurrent import RecurrentModel, State, StateConvolution, check_convolution, freeze_unused, widths


class MotionAwareUnit(nn.Module):
    """One unit (Chang et al. 2021, Eq. 1-9): a temporal state t and a spatial state s.

    Attention over the last ``tau`` spatial states weighs the temporal states of those steps into a trend; a gate mixes
    it with the last temporal state; two more gates exchange information between the two.

    Called with t, s of (B, C, H, W) and the lists of the last tau temporal and spatial states; gives t', s'. Before the
    first step t is None, for zeros, and so is what the attention finds.
    """

    def __init__(self, width: int, filter_size: int, grid: Sequence[int], residual: bool):
        super().__init__()
        self.conv_t = StateConvolution(width, 3 * width, filter_size, grid, bias=True)
        self.conv_t_next = StateConvolution(width, width, filter_size, grid, bias=True)
        self.conv_s = StateConvolution(width, 3 * width, filter_size, grid, bias=True)
        self.conv_s_next = StateConvolution(width, width, filter_size, grid, bias=True)
        self.residual = residual

    def fuse(self, t: Tensor, s: Tensor, past_t: Sequence[Tensor], past_s: Sequence[Tensor]) -> Tensor:
        query = self.conv_s_next(s)
        scores = torch.stack([(past * query).flatten(1).sum(dim=1) for past in past_s])  # (tau, B)
        weights = (scores / math.sqrt(query[0].numel())).softmax(dim=0)[..., None, None, None]
        trend = torch.stack([weight * past for weight, past in zip(weights, past_t)]).sum(dim=0)
        return torch.lerp(trend, t, self.conv_t_next(t).sigmoid())

    def forward(self, t: Tensor | None, s: Tensor, past_t: Sequence[Tensor], past_s: Sequence[Tensor]):
        fused = None if t is None else self.fuse(t, s, past_t, past_s)
        gate_t, t_to_t, t_to_s = self.conv_t(fused).chunk(3, dim=1)
        gate_s, s_to_t, s_to_s = self.conv_s(s).chunk(3, dim=1)
        new_s = torch.lerp(t_to_s, s_to_s, gate_s.sigmoid())
        return torch.lerp(s_to_t, t_to_t, gate_t.sigmoid()), new_s + s if self.residual else new_s


class MAU_Model(RecurrentModel):
    """Motion-aware unit (Chang et al. 2021): an encoder, a stack of units on the coarse grid, a decoder.

    Args:
        in_shape: (T, C, H, W) of the input.
        aft_seq_length: frames to forecast.
        num_hidden: channels of each layer, ``"64,64,64,64"`` or a list; all the same.
        filter_size: side of the units' kernels, odd.
        stride: 1; there for OpenSTL's configuration files.
        patch_size: side of the patches that become channels before the encoder.
        sr_size: downsampling of the encoder, a power of two.
        tau: past steps that a unit looks at.
        cell_mode: ``normal``, or ``residual``: a unit adds its spatial input to its output.
        model_mode: ``normal``, or ``recall``: the decoder adds the encoder's features of the same size.
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        aft_seq_length: int,
        num_hidden: str | Sequence[int] = "64,64,64,64",
        filter_size: int = 5,
        stride: int = 1,
        patch_size: int = 1,
        sr_size: int = 2,
        tau: int = 5,
        cell_mode: str = "normal",
        model_mode: str = "normal",
    ):
        if sr_size < 1 or sr_size & (sr_size - 1):
            raise ValueError(f"sr_size={sr_size} is no power of two; take {2 ** round(math.log2(max(1, sr_size)))}.")
        if tau < 1:
            raise ValueError(f"tau={tau}: a unit looks at 1 past step or more.")
        super().__init__(in_shape, aft_seq_length, patch_size, sr_size)
        check_convolution(filter_size, stride)
        residual = choose("cell_mode", cell_mode, ("normal", "residual")) == "residual"
        self.recall = choose("model_mode", model_mode, ("normal", "recall")) == "recall"
        layers = widths(num_hidden, "the states of a layer are the next one's")
        self.width, self.tau, channels = layers[0], tau, self.patch_channels
        self.cell_list = nn.ModuleList(MotionAwareUnit(self.width, filter_size, self.grid, residual) for _ in layers)

        halvings = sr_size.bit_length() - 1
        up = {"kernel_size": 3, "stride": 2, "padding": 1}
        self.encoders = nn.ModuleList(
            [_named({"encoder_t_conv-1": nn.Conv2d(channels, self.width, 1), "relu_t_-1": nn.LeakyReLU(0.2)})]
        )
        self.decoders = nn.ModuleList()
        for i in range(halvings):
            down = nn.Conv2d(self.width, self.width, **up)
            self.encoders.append(_named({f"encoder_t{i}": down, f"encoder_t_relu{i}": nn.LeakyReLU(0.2)}))
        for i in range(halvings):
            layers_up = {f"c_decoder{i}": nn.ConvTranspose2d(self.width, self.width, **up, output_padding=1)}
            if i < halvings - 1:
                layers_up[f"c_decoder_relu{i}"] = nn.LeakyReLU(0.2)
            self.decoders.append(_named(layers_up))
        self.srcnn = nn.Sequential(nn.Conv2d(self.width, channels, 1))
        self.merge = nn.Conv2d(2 * self.width, self.width, 1)
        self.conv_last_sr = nn.Conv2d(2 * channels, channels, 1)
        freeze_unused(self.merge, self.conv_last_sr)

    def embed(self, frames: Tensor) -> tuple[Tensor, ...]:
        """The encoder's features from fine to coarse; of those, the decoder recalls all but the last."""
        features = [frames]
        for encoder in self.encoders:
            features.append(encoder(features[-1]))
        return tuple(features[1:]) if self.recall else (features[-1],)

    def start(self, frame: Tensor, steps: int) -> State:
        empty = frame.new_zeros(len(frame), self.width, *self.grid)
        layers = len(self.cell_list)
        before = empty if steps == 1 or self.convolves_empty_state else None  # see LayeredModel.start
        return {
            "t": [before] * layers,
            "past_t": [[empty] * self.tau] * layers,
            "past_s": [[empty] * self.tau] * layers,
        }

    def step(self, state: State, *features: Tensor) -> Tensor:
        t, past_t, past_s = state["t"], state["past_t"], state["past_s"]
        s = features[-1]
        for i, unit in enumerate(self.cell_list):
            before = s
            t[i], s = unit(t[i], s, past_t[i], past_s[i])
            past_t[i], past_s[i] = [*past_t[i][1:], t[i]], [*past_s[i][1:], before]
        for i, decoder in enumerate(self.decoders):
            s = decoder(s)
            if self.recall:
                s = s + features[-2 - i]
        return self.srcnn(s)


def _named(layers: dict[str, nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))
