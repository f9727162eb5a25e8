"""Structural similarity of stacks of frames."""

import torch
from torch import Tensor

WINDOW = 7
_CACHED = 2**17  # pixels at a time on a CPU: enough to hide the cost of a call, few enough for its cache
_BATCHED = 2**22  # on a GPU


@torch.no_grad()
def ssim(pred: Tensor, true: Tensor, *, data_range: float = 2.0) -> Tensor:
    r"""Mean structural similarity (Wang et al. 2004, doi:10.1109/TIP.2003.819861) of each frame.

    .. math:: \frac{(2 \mu_p \mu_t + c_1) (2 \sigma_{pt} + c_2)}
                    {(\mu_p^2 + \mu_t^2 + c_1) (\sigma_p^2 + \sigma_t^2 + c_2)}

    over uniform 7 x 7 windows that lie inside the frame, with sample covariances, :math:`c_i = (k_i R)^2`,
    k = (0.01, 0.03): equal to scikit-image's ``structural_similarity(..., channel_axis, data_range)`` on each frame.

    Args:
        pred, true: ``(..., C, H, W)``. float32 and float64 are computed as such, all else in float32. Values far
            outside the data range (temperatures in kelvin) want float64.
        data_range: R. OpenSTL gives none, for which scikit-image took 2 for floating-point images of any range; so 2
            is the value of all published numbers, also for frames in [0, 1].

    Returns:
        Tensor ``(...)``: the mean over channels and positions.

    Raises:
        ValueError: the shapes differ, or a frame is smaller than the window.
    """
    if pred.shape != true.shape:
        raise ValueError(f"pred {tuple(pred.shape)} and true {tuple(true.shape)} must have the same shape.")
    if pred.ndim < 3 or min(pred.shape[-2:]) < WINDOW:
        raise ValueError(f"ssim takes (..., C, H, W) with H, W >= {WINDOW}, its window; got {tuple(pred.shape)}.")
    dtype = torch.float64 if torch.float64 in (pred.dtype, true.dtype) else torch.float32
    height, width = pred.shape[-2:]
    planes_p, planes_t = (x.reshape(-1, height * width).to(dtype) for x in (pred, true))  # (planes, H*W)
    count = max(1, (_CACHED if pred.device.type == "cpu" else _BATCHED) // (height * width))
    # Memory from the operating system costs more than the arithmetic: one allocation for all chunks.
    work = torch.empty(3, 4, min(count, len(planes_p)) * height * width, dtype=dtype, device=pred.device)
    scores = torch.cat([_chunk(p, t, width, data_range, work[..., :p.numel()])
                        for p, t in zip(planes_p.split(count), planes_t.split(count))])
    return scores.view(pred.shape[:-2]).mean(-1)


def _chunk(pred: Tensor, true: Tensor, width: int, data_range: float, work: Tensor) -> Tensor:
    """SSIM of planes ``(n, H*W)`` -> ``(n,)``.

    Works on sum and difference of the frames, s = p + t and d = p - t, since 2 mu_p mu_t and mu_p^2 + mu_t^2 are
    (mu_s^2 -+ mu_d^2) / 2, and likewise for the covariances. With M_s = mu_s^2 + 2 c_1, M_d = mu_d^2, and V_s, V_d the
    same of the variances with 2 c_2, SSIM = (M_s - M_d) (V_s - V_d) / ((M_s + M_d) (V_s + V_d)), which is
    1 - 2 v / (u + v) with u = M_s V_s + M_d V_d, v = M_s V_d + M_d V_s. Windows are summed here, not averaged, so M
    and V come 49^2 times as large; V in addition 48/49 times, for the sample covariance.
    """
    n, pixels = pred.shape
    area = WINDOW**2
    maps, half, sums = work  # (4, n*H*W) each
    c1 = 2 * area**2 * (0.01 * data_range) ** 2
    c2 = 2 * area * (area - 1) * (0.03 * data_range) ** 2  # over the factor area / (area - 1) of the sample covariance
    torch.add(pred, true, out=maps[0].view(n, pixels))
    torch.sub(pred, true, out=maps[1].view(n, pixels))
    torch.mul(maps[:2], maps[:2], out=maps[2:])
    maps[2] += (c1 + c2) / area**2

    _window_sums(maps, width, half, sums)
    _window_sums(sums, 1, half, maps)
    s, d, ss, dd = maps
    torch.mul(s, s, out=s).add_(c1)
    torch.mul(d, d, out=d)
    torch.sub(maps[:2], maps[2:], alpha=area, out=maps[2:])  # minus the variances
    u = torch.mul(s, ss, out=half[0]).addcmul_(d, dd)
    v = torch.mul(s, dd, out=half[1]).addcmul_(d, ss)
    loss = torch.div(v, u.add_(v), out=v).view(n, -1, width)
    return 1 - 2 * loss[:, :loss.shape[1] - WINDOW + 1, :width - WINDOW + 1].mean((1, 2))


def _window_sums(x: Tensor, step: int, half: Tensor, out: Tensor):
    """``out[i] = x[i] + x[i + step] + ... + x[i + 6 step]``, on ``(4, length)`` arrays of flattened frames.

    Four additions instead of six. Windows that run over the border of a frame come out wrong; the caller drops them.
    """
    length = x.shape[1]
    two = torch.add(x[:, :length - step], x[:, step:], out=half[:, :length - step])
    seven = out[:, :length - 6 * step]
    torch.add(two[:, :length - 6 * step], two[:, 2 * step:length - 4 * step], out=seven)
    seven += two[:, 4 * step:length - 2 * step]
    seven += x[:, 6 * step:]
