"""PredNet: predictive coding, each layer forecasting the error of the one below (Lotter et al. 2017, arXiv:1605.08104)."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..naming import choose

_ACTIVATIONS = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "hard_sigmoid": lambda x: (0.2 * x + 0.5).clamp(0, 1),  # Keras', which the paper's code used; torch's is steeper
}


class PredNet_Model(nn.Module):
    """A stack of layers ``l``, each with a representation R, a prediction Â of its input A, and their difference E.

    Eq. (1) to (4) of the paper, at every step ``t``, R from the top down and then A, Â, E from the bottom up::

        R_l = ConvLSTM(E_l of t-1, R_l of t-1, upsampled R_(l+1))
        A_0 = the frame;  A_l = maxpool(relu(conv(E_(l-1))))
        Â_l = relu(conv(R_l)), Â_0 cut off at pixel_max
        E_l = [relu(A_l - Â_l), relu(Â_l - A_l)]

    Â_0 is the forecast of the frame that is seen next. Beyond the known frames the forecast of the step before stands
    for the frame, as in the paper's code.

    Args:
        in_shape: ``(T, C, H, W)`` of the input.
        aft_seq_length: frames to forecast.
        stack_sizes: channels of A and Â in each layer, the frames' C first (default: C, 32, 64, 128, 256).
        R_stack_sizes: channels of R in each layer (default: as ``stack_sizes``).
        A_filt_sizes, Ahat_filt_sizes, R_filt_sizes: odd kernel sizes of the convolutions that make A (none in the first
            layer), Â and R; one number for all layers.
        pixel_max: frames lie in ``[0, pixel_max]``, and so do the forecasts; ``None`` for frames without bounds, whose
            Â_0 is the plain convolution.
        error_activation, A_activation: ``relu`` or ``tanh``, of E; of A and Â.
        LSTM_activation, LSTM_inner_activation: of the cell, and of its gates (``hard_sigmoid`` or ``sigmoid``).

    Raises:
        ValueError: layers that do not fit each other or the frames, a grid that cannot be halved in every layer.
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        aft_seq_length: int = 1,
        stack_sizes: Sequence[int] | None = None,
        R_stack_sizes: Sequence[int] | None = None,
        A_filt_sizes: int | Sequence[int] = 3,
        Ahat_filt_sizes: int | Sequence[int] = 3,
        R_filt_sizes: int | Sequence[int] = 3,
        pixel_max: float | None = 1.0,
        error_activation: str = "relu",
        A_activation: str = "relu",
        LSTM_activation: str = "tanh",
        LSTM_inner_activation: str = "hard_sigmoid",
    ):
        super().__init__()
        _, channels, height, width = in_shape
        self.aft_seq_length, self.pixel_max = aft_seq_length, pixel_max
        self.stack_sizes = tuple(stack_sizes or (channels, 32, 64, 128, 256))
        self.R_stack_sizes = tuple(R_stack_sizes or self.stack_sizes)
        layers = len(self.stack_sizes)
        if self.stack_sizes[0] != channels:
            raise ValueError(
                f"stack_sizes begins with the frames' channels, here {channels}; got {list(self.stack_sizes)}."
            )
        if len(self.R_stack_sizes) != layers:
            raise ValueError(f"R_stack_sizes must have {layers} entries as stack_sizes has, got {self.R_stack_sizes}.")
        _check_grid(layers, height, width)
        self._error_activation, self._activation, self._cell_activation, self._gate_activation = (
            _ACTIVATIONS[choose(key, name, allowed)]
            for key, name, allowed in (
                ("error_activation", error_activation, ("relu", "tanh")),
                ("A_activation", A_activation, ("relu", "tanh")),
                ("LSTM_activation", LSTM_activation, ("relu", "tanh")),
                ("LSTM_inner_activation", LSTM_inner_activation, ("hard_sigmoid", "sigmoid")),
            )
        )
        above = (*self.R_stack_sizes[1:], 0)
        self.lstm = nn.ModuleList(  # the four gates of a layer in one convolution
            _convolution(2 * a + r + up, 4 * r, k)
            for a, r, up, k in zip(
                self.stack_sizes, self.R_stack_sizes, above, _kernels("R_filt_sizes", R_filt_sizes, layers)
            )
        )
        self.prediction = nn.ModuleList(
            _convolution(r, a, k)
            for a, r, k in zip(
                self.stack_sizes, self.R_stack_sizes, _kernels("Ahat_filt_sizes", Ahat_filt_sizes, layers)
            )
        )
        self.target = nn.ModuleList(
            _convolution(2 * a, up, k)
            for a, up, k in zip(
                self.stack_sizes, self.stack_sizes[1:], _kernels("A_filt_sizes", A_filt_sizes, layers - 1)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, T, C, H, W)`` -> the ``aft_seq_length`` frames that follow, ``(B, aft_seq_length, C, H, W)``."""
        frames = [prediction for prediction, _ in self._steps(x, self.aft_seq_length)]
        return torch.stack(frames[-self.aft_seq_length :], dim=1)

    def errors(self, x: Tensor) -> Tensor:
        """Mean of E in each layer at each step of ``x``, all of it seen: ``(B, T, C, H, W)`` -> ``(B, T, layers)``."""
        return torch.stack(
            [torch.stack([e.flatten(1).mean(1) for e in errors], dim=1) for _, errors in self._steps(x)], dim=1
        )

    def _steps(self, x: Tensor, further: int = 0) -> Iterator[tuple[Tensor, list[Tensor]]]:
        """Prediction ``(B, C, H, W)`` and every layer's E at each step of ``x`` and ``further`` ones."""
        batch, known, _, height, width = x.shape
        sizes = [(height >> level, width >> level) for level in range(len(self.stack_sizes))]
        hidden = [x.new_zeros(batch, r, *size) for r, size in zip(self.R_stack_sizes, sizes)]
        cells = [torch.zeros_like(r) for r in hidden]
        errors = [x.new_zeros(batch, 2 * a, *size) for a, size in zip(self.stack_sizes, sizes)]
        prediction = x[:, 0]
        for t in range(known + further):
            frame = x[:, t] if t < known else prediction
            self._represent(hidden, cells, errors)
            prediction, errors = self._compare(frame, hidden)
            yield prediction, errors

    def _represent(self, hidden: list[Tensor], cells: list[Tensor], errors: list[Tensor]) -> None:
        """R and the LSTM's cells of all layers, from the top down, in place of those of the step before."""
        for level in reversed(range(len(hidden))):
            inputs = [errors[level], hidden[level]]
            if level + 1 < len(hidden):
                inputs.append(F.interpolate(hidden[level + 1], scale_factor=2.0, mode="nearest"))
            gates, candidate = self.lstm[level](torch.cat(inputs, dim=1)).tensor_split([-hidden[level].shape[1]], dim=1)
            entry, forget, exit = self._gate_activation(gates).chunk(3, dim=1)
            cells[level] = forget * cells[level] + entry * self._cell_activation(candidate)
            hidden[level] = exit * self._cell_activation(cells[level])

    def _compare(self, frame: Tensor, hidden: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Â_0, and E of all layers from the bottom up."""
        lowest = self.prediction[0](hidden[0])
        if self.pixel_max is not None:
            lowest = lowest.clamp(0, self.pixel_max)
        target, errors = frame, []
        for level in range(len(hidden)):
            predicted = self._activation(self.prediction[level](hidden[level])) if level else lowest
            difference = torch.cat([target - predicted, predicted - target], dim=1)
            errors.append(self._error_activation(difference))
            if level + 1 < len(hidden):
                target = F.max_pool2d(self._activation(self.target[level](errors[level])), 2)
        return lowest, errors


def _convolution(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    nn.init.zeros_(convolution.get_parameter("bias"))
    return convolution


def _kernels(key: str, sizes: int | Sequence[int], count: int) -> tuple[int, ...]:
    sizes = (sizes,) * count if isinstance(sizes, int) else tuple(sizes)
    if len(sizes) != count or any(size < 1 or size % 2 == 0 for size in sizes):
        raise ValueError(f"{key} must be one odd number, or {count} of them; got {sizes}.")
    return sizes


def _check_grid(layers: int, height: int, width: int) -> None:
    """Every layer but the first halves the grid, and the LSTM brings it back to twice the size."""
    factor = 2 ** (layers - 1)
    if height % factor or width % factor:
        nearest = [max(1, round(size / factor)) * factor for size in (height, width)]
        fits = next(n for n in range(layers, 0, -1) if height % 2 ** (n - 1) == width % 2 ** (n - 1) == 0)
        raise ValueError(
            f"PredNet's {layers} layers halve the grid {layers - 1} times, and {height} x {width} cannot be divided by "
            f"{factor}. Give stack_sizes with {fits} entries or fewer, or frames of {nearest[0]} x {nearest[1]}."
        )
