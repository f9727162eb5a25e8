"""Structural similarity of stacks of frames."""

import numpy as np
import torch
from torch import Tensor

from ..compiled import compiled, have_compiler, in_parts, threads_for
from .base import Block, ImageMetric, register_metric

WINDOW = 7
_AREA = WINDOW**2
_BATCHED = 2**22  # pixels at a time of the form in torch, which holds some ten maps of them
_THREADED = 2**18  # pixels that are worth a thread


@register_metric("ssim", "structural similarity")
class SSIM(ImageMetric):
    """See :func:`ssim`, with the data range 2."""

    headline, rank = True, 6

    def statistic(self, block: Block) -> Tensor:
        return ssim(block.pred_image, block.true_image)


@torch.no_grad()
def ssim(pred: Tensor, true: Tensor, *, data_range: float = 2.0) -> Tensor:
    r"""Mean structural similarity (Wang et al. 2004, doi:10.1109/TIP.2003.819861) of each frame.

    .. math:: \frac{(2 \mu_p \mu_t + c_1) (2 \sigma_{pt} + c_2)}
                    {(\mu_p^2 + \mu_t^2 + c_1) (\sigma_p^2 + \sigma_t^2 + c_2)}

    over uniform 7 x 7 windows that lie inside the frame, with sample covariances, :math:`c_i = (k_i R)^2`,
    k = (0.01, 0.03): equal to scikit-image's ``structural_similarity(..., channel_axis, data_range)`` on each frame.
    On a CPU compiled by numba, in double precision and with torch's number of threads; elsewhere, and where numba has
    no release for the Python at hand, in torch.

    Args:
        pred, true: ``(..., C, H, W)``. In torch float32 and float64 are computed as such, all else in float32. Values
            far outside the data range (temperatures in kelvin) want float64.
        data_range: R. OpenSTL gives none, for which scikit-image took 2 for floating-point images of any range; so 2
            is the value of all published numbers, also for frames in [0, 1].

    Returns:
        Tensor ``(...)``: the mean over channels and positions, in the precision of the arguments.

    Raises:
        ValueError: the shapes differ, or a frame is smaller than the window.
    """
    if pred.shape != true.shape:
        raise ValueError(f"pred {tuple(pred.shape)} and true {tuple(true.shape)} must have the same shape.")
    if pred.ndim < 3 or min(pred.shape[-2:]) < WINDOW:
        raise ValueError(f"ssim takes (..., C, H, W) with H, W >= {WINDOW}, its window; got {tuple(pred.shape)}.")
    dtype = torch.float64 if torch.float64 in (pred.dtype, true.dtype) else torch.float32
    planes_p, planes_t = (x.detach().reshape(-1, *x.shape[-2:]).to(dtype) for x in (pred, true))
    # Windows are summed, not averaged, and covariances are 49 * 48 times the sample's; so are the constants.
    c1 = _AREA**2 * (0.01 * data_range) ** 2
    c2 = _AREA * (_AREA - 1) * (0.03 * data_range) ** 2
    compute = _in_threads if pred.device.type == "cpu" and have_compiler() else _in_torch
    scores = compute(planes_p, planes_t, c1, c2)
    return scores.to(dtype).view(pred.shape[:-2]).mean(-1)


def _in_torch(pred: Tensor, true: Tensor, c1: float, c2: float) -> Tensor:
    """SSIM of planes ``(n, H, W)`` -> ``(n,)``."""
    scores = []
    count = max(1, _BATCHED // (pred.shape[-2] * pred.shape[-1]))
    for p, t in zip(pred.split(count), true.split(count)):
        sum_p, sum_t, squares, products = map(_window_sums, (p, t, p * p + t * t, p * t))
        mean_products, mean_squares = 2 * sum_p * sum_t, sum_p**2 + sum_t**2
        similarity = (mean_products + c1) * (2 * _AREA * products - mean_products + c2)
        similarity /= (mean_squares + c1) * (_AREA * squares - mean_squares + c2)
        scores.append(similarity.mean((-2, -1)))
    return torch.cat(scores)


def _window_sums(x: Tensor) -> Tensor:
    """``(n, H, W) -> (n, H-6, W-6)``. Shifted sums: pooling takes ten times as long on a CPU."""
    for dim in (-2, -1):
        count = x.shape[dim] - WINDOW + 1
        sums = x.narrow(dim, 0, count).clone()
        for first in range(1, WINDOW):
            sums += x.narrow(dim, first, count)
        x = sums
    return x


def _in_threads(pred: Tensor, true: Tensor, c1: float, c2: float) -> Tensor:
    """The same by the compiled loop."""
    scores = np.empty(len(pred))
    arrays = pred.contiguous().numpy(), true.contiguous().numpy(), scores

    def work(part: int, first: int, last: int) -> None:
        compiled(_loop)(*(x[first:last] for x in arrays), c1, c2)

    in_parts(len(pred), threads_for(pred.numel(), _THREADED, len(pred)), work)
    return torch.from_numpy(scores)


def _loop(pred: np.ndarray, true: np.ndarray, scores: np.ndarray, c1: float, c2: float) -> None:
    """The same as :func:`_in_torch` into ``scores``: one pass, with running sums of seven rows for each column."""
    count, height, width = pred.shape
    for k in range(count):
        p, t = pred[k], true[k]
        column = np.zeros((4, width))
        total = 0.0
        for i in range(height):
            for j in range(width):
                a, b = np.float64(p[i, j]), np.float64(t[i, j])
                da, db, squares, product = a, b, a * a + b * b, a * b
                if i >= WINDOW:
                    a, b = np.float64(p[i - WINDOW, j]), np.float64(t[i - WINDOW, j])
                    da -= a
                    db -= b
                    squares -= a * a + b * b
                    product -= a * b
                column[0, j] += da
                column[1, j] += db
                column[2, j] += squares
                column[3, j] += product
            if i < WINDOW - 1:
                continue
            for j in range(width - WINDOW + 1):
                sum_p = sum_t = sum_squares = sum_products = 0.0
                for m in range(j, j + WINDOW):
                    sum_p += column[0, m]
                    sum_t += column[1, m]
                    sum_squares += column[2, m]
                    sum_products += column[3, m]
                products, squares = 2 * sum_p * sum_t, sum_p * sum_p + sum_t * sum_t
                total += (
                    (products + c1)
                    * (2 * _AREA * sum_products - products + c2)
                    / ((squares + c1) * (_AREA * sum_squares - squares + c2))
                )
        scores[k] = total / ((height - WINDOW + 1) * (width - WINDOW + 1))
