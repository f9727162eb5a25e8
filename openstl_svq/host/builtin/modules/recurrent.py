"""What the recurrent forecasters share: frames as patches, one rollout for all of them, gates, a stack of LSTM layers."""

import re
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

State = dict[str, Any]


class RecurrentModel(nn.Module):
    """One frame in, the next one out, and a state between the frames.

    A subclass says what one step is:

        embed(frames)              (N, p*p*C, H/p, W/p) -> tensors of N entries: what needs a frame and no state
        start(frame, steps)        the state before the first frame, for frames like ``frame``
        step(state, *embedded)     changes the state; gives the next frame (B, p*p*C, H/p, W/p)

    All frames that are known beforehand are embedded in one call.

    Args:
        in_shape: (T, C, H, W) of the input.
        aft_seq_length: frames to forecast.
        patch_size: side p of the patches that become the channels of one position.
        downsampling: how much smaller than these patches' grid the grid of the states is.

    Raises:
        ValueError: H or W cannot be divided.
    """

    # Whether the empty state before the first step takes part in convolutions, as it does in OpenSTL and its counts.
    convolves_empty_state = False

    def __init__(self, in_shape: Sequence[int], aft_seq_length: int, patch_size: int = 1, downsampling: int = 1):
        super().__init__()
        if len(in_shape) != 4 or not all(isinstance(n, Integral) and n > 0 for n in in_shape):
            raise ValueError(f"in_shape must be four positive integers (T, C, H, W), got {in_shape!r}.")
        if patch_size < 1:
            raise ValueError(f"patch_size must be 1 or more, got {patch_size}.")
        _, channels, *grid = in_shape
        cell = patch_size * downsampling
        if any(size % cell for size in grid):
            closest = min(
                (p for p in range(1, min(grid) + 1) if all(size % p == 0 for size in grid)), key=lambda p: abs(p - cell)
            )
            below = [max(cell, size // cell * cell) for size in grid]
            raise ValueError(
                f"frames of {grid[0]} x {grid[1]} cannot be divided into cells of {cell} x {cell} pixels, the patch size "
                f"times the downsampling of the network. Take cells of {closest}, the nearest size that divides both, or "
                f"cut the data to {below[0]} x {below[1]} (for -d custom: crop = {below})."
            )
        self.aft_seq_length, self.patch_size = aft_seq_length, patch_size
        self.patch_channels = patch_size**2 * channels
        self.grid = tuple(size // cell for size in grid)

    def embed(self, frames: Tensor) -> tuple[Tensor, ...]:
        raise NotImplementedError(f"{type(self).__name__} must define embed")

    def start(self, frame: Tensor, steps: int) -> State:
        raise NotImplementedError(f"{type(self).__name__} must define start")

    def step(self, state: State, *embedded: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define step")

    def penalty(self, state: State) -> Tensor | None:
        """What the training adds to the error of the frames, from the state after the last step; None for nothing."""
        return None

    def forward(self, x: Tensor, targets: Tensor | None = None, shown: Tensor | None = None):
        """The forecast; or, where ``targets`` are given, what a training step needs.

        Args:
            x: (B, T, C, H, W), the known frames.
            targets: (B, T', C, H, W), the frames after them.
            shown: (B, T + T' - 1) of bool, on the CPU: whether a step sees the true frame, or the model's own
                forecast of it. The first column does not matter: nothing has been forecast then. By default the steps
                see the true frames of ``x``.

        Returns:
            Without targets (B, aft_seq_length, C, H, W). With targets the pair of the forecasts of all frames but the
            first, (B, T + T' - 1, C, H, W), and the :meth:`penalty`.
        """
        known = x.shape[1]
        frames = to_patches(x if targets is None else torch.cat([x, targets], dim=1), self.patch_size)
        steps = known - 1 + (self.aft_seq_length if targets is None else targets.shape[1])
        choices = None
        if shown is not None:
            hidden = (~shown[:, 1:]).any(dim=0).nonzero()
            known = int(hidden[0]) + 1 if len(hidden) else steps
            choices = shown.to(frames.device).T[..., None, None, None]  # (steps, B, 1, 1, 1)

        embedded = self.embed(frames[:known].flatten(0, 1))
        embedded = list(zip(*(e.unflatten(0, (known, -1)).unbind() for e in embedded)))
        state = self.start(frames[0], steps)
        forecasts: list[Tensor] = []
        for t in range(steps):
            if t >= known:
                frame = forecasts[-1]
                if choices is not None:
                    frame = torch.where(choices[t], frames[t], frame)
                embedded.append(self.embed(frame))
            forecasts.append(self.step(state, *embedded[t]))
        if targets is None:
            return from_patches(torch.stack(forecasts[-self.aft_seq_length :]), self.patch_size)
        return from_patches(torch.stack(forecasts), self.patch_size), self.penalty(state)


def to_patches(frames: Tensor, size: int) -> Tensor:
    """(B, T, C, H, W) -> (T, B, p*p*C, H/p, W/p): time first, and patches of p x p pixels as channels (row, column, C)."""
    patches = frames.unflatten(4, (-1, size)).unflatten(3, (-1, size))  # (B, T, C, H/p, p, W/p, p)
    return patches.permute(1, 0, 4, 6, 2, 3, 5).flatten(2, 4)


def from_patches(patches: Tensor, size: int) -> Tensor:
    """(T, B, p*p*C, H/p, W/p) -> (B, T, C, H, W), the inverse of :func:`to_patches`."""
    frames = patches.unflatten(2, (size, size, -1))  # (T, B, p, p, C, H/p, W/p)
    return frames.permute(1, 0, 4, 5, 2, 6, 3).flatten(5, 6).flatten(3, 4)


def widths(num_hidden: str | Sequence[int], equal: str | None = None) -> list[int]:
    """Channels of each layer, from OpenSTL's ``"128,128,128,128"`` or from a list.

    Args:
        equal: what in the model needs layers of one width, if anything does.

    Raises:
        ValueError: not positive whole numbers; several widths where one is needed.
    """
    entries = re.split(r"\s*,\s*", num_hidden.strip()) if isinstance(num_hidden, str) else list(num_hidden)
    if not entries or not all(re.fullmatch(r"[1-9]\d*", str(entry)) for entry in entries):
        raise ValueError(f"num_hidden must be positive whole numbers, one a layer, as in '64,64'; got {num_hidden!r}.")
    sizes = [int(entry) for entry in entries]
    if equal and len(set(sizes)) > 1:
        raise ValueError(
            f"num_hidden={num_hidden!r}: {equal}, so all layers must be equally wide; take "
            f"'{','.join([str(sizes[0])] * len(sizes))}'."
        )
    return sizes


def check_convolution(filter_size: int, stride: int) -> None:
    """Raises ValueError unless the convolutions keep the grid, as the state needs."""
    if filter_size < 1 or filter_size % 2 == 0:
        raise ValueError(
            f"filter_size={filter_size} shifts the grid; take the odd size {max(1, filter_size - 1)} or {filter_size + 1}."
        )
    if stride != 1:
        raise ValueError(f"stride={stride} shrinks the grid, and states must fit together; take stride=1.")


class StateConvolution(nn.Sequential):
    """A convolution that keeps the grid, and a LayerNorm over channels and grid where ``norm_grid`` is given.

    None stands for an input of zeros, the state before the first step: its image is the bias, (1, C, 1, 1) or
    (1, C, H, W), and costs no convolution.
    """

    def __init__(self, inputs: int, outputs: int, size: int, norm_grid: Sequence[int] | None, bias: bool = False):
        layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=bias)]
        super().__init__(*layers, *([nn.LayerNorm([outputs, *norm_grid])] if norm_grid else []))

    def forward(self, state: Tensor | None) -> Tensor:
        if state is not None:
            return super().forward(state)
        convolution, *norm = self
        bias = convolution.weight.new_zeros(convolution.out_channels) if convolution.bias is None else convolution.bias
        image = bias[None, :, None, None]
        for layer in norm:
            image = layer(image.expand(1, *layer.normalized_shape))
        return image


def freeze_unused(*modules: nn.Module) -> None:
    """For layers that OpenSTL's checkpoints hold and no equation has: distributed training must not wait for them."""
    for module in modules:
        module.requires_grad_(False)


def remember(memory: Tensor | None, i: Tensor, f: Tensor, g: Tensor, forget_bias: float = 1.0) -> tuple[Tensor, Tensor]:
    """The LSTM's update of a memory: f * memory + i * g, and the increment i * g.

    Args:
        memory: (B, C, H, W), or None for zeros.
        i, f, g: (B, C, H, W), the gates before their activations.
    """
    increment = i.sigmoid() * g.tanh()
    if memory is None:
        return increment, increment
    return torch.addcmul(increment, (f + forget_bias if forget_bias else f).sigmoid(), memory), increment


class LayeredModel(RecurrentModel):
    """A stack of LSTM layers, each with a hidden state and a cell, and one memory that climbs through them all.

    ``cell(gates, h, c, m) -> (h, c, m, *more)`` is a layer without its input-to-state convolution ``cell.conv_x``:
    that of the first layer is the embedding of a frame. Before the first step h, c and m are None, for zeros.
    ``more`` is kept, step by step, under ``state["more"]``.

    Args:
        num_hidden: channels of each layer, ``"128,128,128,128"`` or a list.
        filter_size: side of the convolutions' kernels, odd.
        stride: 1; there for OpenSTL's configuration files.
        layer_norm: a LayerNorm after each convolution.
    """

    cell_class: type[nn.Module]
    equal_widths: str | None = "the memory passes through all layers"

    def __init__(
        self,
        in_shape: Sequence[int],
        aft_seq_length: int,
        num_hidden: str | Sequence[int] = "128,128,128,128",
        filter_size: int = 5,
        stride: int = 1,
        patch_size: int = 2,
        layer_norm: bool = False,
    ):
        super().__init__(in_shape, aft_seq_length, patch_size)
        check_convolution(filter_size, stride)
        self.widths = widths(num_hidden, self.equal_widths)
        self.filter_size, self.norm_grid = filter_size, self.grid if layer_norm else None
        self.build_layers()

    def build_layers(self) -> None:
        """Everything that has weights, in the order of OpenSTL's checkpoints."""
        self.build_cells()
        self.conv_last = nn.Conv2d(self.widths[-1], self.patch_channels, 1, bias=False)

    def build_cells(self) -> None:
        inputs = [self.patch_channels, *self.widths]
        self.cell_list = nn.ModuleList(
            self.cell_class(i, width, self.filter_size, self.norm_grid) for i, width in zip(inputs, self.widths)
        )

    def embed(self, frames: Tensor) -> tuple[Tensor, ...]:
        return (self.cell_list[0].conv_x(frames),)

    def start(self, frame: Tensor, steps: int) -> State:
        hidden: list[Tensor | None] = [None] * len(self.widths)
        # In a single step distributed training waits for a gradient of every weight, those of the states too.
        if steps == 1 or self.convolves_empty_state:
            hidden = [frame.new_zeros(len(frame), width, *self.grid) for width in self.widths]
        return {"h": hidden, "c": list(hidden), "m": hidden[0], "more": []}

    def step(self, state: State, gates: Tensor) -> Tensor:
        h, c = state["h"], state["c"]
        for i, cell in enumerate(self.cell_list):
            if i:
                gates = cell.conv_x(self.between(i, state))
            h[i], c[i], state["m"], *more = cell(gates, h[i], c[i], state["m"])
            state["more"].extend(more)
        return self.conv_last(h[-1])

    def between(self, layer: int, state: State) -> Tensor:
        """The input of layer ``layer`` (1, 2, ...), by default the hidden state of the one below."""
        return state["h"][layer - 1]
