"""Which frames a training step of a recurrent forecaster sees: the true ones, or its own forecasts of them.

Everything depends on the number of the step alone, so a resumed run draws what an uninterrupted one would. Decisions are
drawn from numpy's global generator, in OpenSTL's order. All functions give (B, T_in + T_out - 1) of bool, see
:class:`~openstl_svq.host.builtin.modules.recurrent.RecurrentModel`.
"""

import math

import numpy as np
import torch
from torch import Tensor


def _drawn(batch: int, count: int, probability: float) -> np.ndarray:
    return np.random.random_sample((batch, count)) < probability  # noqa: NPY002 (the generator that a run seeds)


def scheduled(step: int, batch: int, known: int, future: int, *, changing_rate: float, stop_iter: int) -> Tensor:
    """Scheduled sampling (Bengio et al. 2015): true frames after the input with a probability that falls to 0.

    The probability is ``1 - changing_rate * (step + 1)`` before the step ``stop_iter`` and 0 from there on.
    """
    probability = 1.0 - changing_rate * (step + 1) if step < stop_iter else 0.0
    return torch.from_numpy(np.hstack([np.ones((batch, known), dtype=bool), _drawn(batch, future - 1, probability)]))


def reverse_scheduled(
    step: int, batch: int, known: int, future: int, *, step_1: int, step_2: int, exp_alpha: float
) -> Tensor:
    """Reverse scheduled sampling (Wang et al. 2022, Section 3.4): the input, too, is at first hidden half of the time.

    Up to ``step_1`` every frame is shown with probability 0.5; until ``step_2`` that of the input's rises
    exponentially (``exp_alpha`` steps) and that of the later ones falls linearly; then all input and nothing else is
    shown.
    """
    of_input = of_future = 0.5
    if step >= step_2:
        of_input, of_future = 1.0, 0.0
    elif step >= step_1:
        of_input = 1.0 - 0.5 * math.exp((step_1 - step) / exp_alpha)
        of_future = 0.5 * (step_2 - step) / (step_2 - step_1)
    first = np.ones((batch, 1), dtype=bool)
    return torch.from_numpy(
        np.hstack([first, _drawn(batch, known - 1, of_input), _drawn(batch, future - 1, of_future)])
    )


def only_input(batch: int, known: int, future: int) -> Tensor:
    """The input, and nothing after it, as in a forecast."""
    return (torch.arange(known + future - 1) < known).expand(batch, -1)
