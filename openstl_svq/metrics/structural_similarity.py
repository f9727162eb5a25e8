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
    planes_p, planes_t = (x.reshape(-1, height, width).to(dtype) for x in (pred, true))
    count = max(1, (_CACHED if pred.device.type == "cpu" else _BATCHED) // (height * width))
    # Memory from the operating system costs more than the arithmetic: one allocation for all chunks.
    work = torch.empty(8 * min(count, len(planes_p)) * height * width, dtype=dtype, device=pred.device)
    scores = torch.cat([_chunk(p, t, data_range, work) for p, t in zip(planes_p.split(count), planes_t.split(count))])
    return scores.view(pred.shape[:-2]).mean(-1)


def _chunk(pred: Tensor, true: Tensor, data_range: float, work: Tensor) -> Tensor:
    """SSIM of planes ``(n, H, W)`` -> ``(n,)``.

    Works on sum and difference of the frames, s = p + t and d = p - t, since 2 mu_p mu_t and mu_p^2 + mu_t^2 are
    (mu_s^2 -+ mu_d^2) / 2, and likewise for the covariances. With M_s = mu_s^2 + 2 c_1, M_d = mu_d^2, and V_s, V_d the
    same of the variances with 2 c_2, SSIM = (M_s - M_d) (V_s - V_d) / ((M_s + M_d) (V_s + V_d)), which is
    1 - 2 v / (u + v) with u = M_s V_s + M_d V_d, v = M_s V_d + M_d V_s. Windows are summed here, not averaged, so M
    and V come 49^2 times as large; V in addition 48/49 times, for the sample covariance.
    """
    n, height, width = pred.shape
    area = WINDOW**2
    c1 = 2 * area**2 * (0.01 * data_range) ** 2
    c2 = 2 * area * (area - 1) * (0.03 * data_range) ** 2
    maps, spare = work[:8 * pred.numel()].view(2, 4, height, n * width)  # a row holds that row of all planes
    s, d, ss, dd = maps
    for combine, out in ((torch.add, s), (torch.sub, d)):
        combine(pred.transpose(0, 1), true.transpose(0, 1), out=out.view(height, n, width))
    torch.addcmul(s.new_tensor((c1 + c2) / area**2), s, s, out=ss)
    torch.mul(d, d, out=dd)

    sums = _sum_rows(maps, spare).flatten(1)  # (4, (H-6)*n*W)
    spare = maps.flatten(1)[:, :sums.shape[1]]
    _sum_columns(sums, spare)
    s, d, ss, dd = sums
    torch.addcmul(s.new_tensor(c1), s, s, out=s)
    torch.mul(d, d, out=d)
    torch.sub(sums[:2], sums[2:], alpha=area, out=sums[2:])  # minus V
    u = torch.mul(s, ss, out=spare[0]).addcmul_(d, dd)
    v = torch.mul(s, dd, out=spare[1]).addcmul_(d, ss)
    loss = torch.div(v, u.add_(v), out=v).view(-1, n, width)
    return 1 - 2 * loss[..., WINDOW - 1:].mean((0, 2))


def _sum_rows(x: Tensor, spare: Tensor) -> Tensor:
    """Sums of seven rows: ``(4, H, L)`` -> ``(4, H-6, L)`` in ``spare``, those that start at an odd row first.

    Two neighbours share six of their rows, and these are three pairs: two and a half additions for each instead of six.
    """
    rows = x.shape[1] - WINDOW + 1
    odd = rows // 2
    even = rows - odd
    pairs = torch.add(x[:, 1::2][:, :even + 2], x[:, 2::2], out=spare[:, :even + 2])
    six = torch.add(pairs[:, :even], pairs[:, 1:even + 1], out=spare[:, even + 2:2 * even + 2])
    six += pairs[:, 2:]
    torch.add(six[:, :odd], x[:, WINDOW::2], out=spare[:, even + 2 - odd:even + 2])
    six += x[:, :rows:2]
    return spare[:, even + 2 - odd:2 * even + 2]


def _sum_columns(x: Tensor, spare: Tensor):
    """``x[:, i + 6] = x[:, i] + ... + x[:, i + 6]`` of ``(4, length)``, in place, by pairs.

    The first six columns of a row get sums that hold the end of the row before; the caller drops them.
    """
    length = x.shape[1]
    pairs = torch.add(x[:, :-1], x[:, 1:], out=spare[:, :length - 1])
    sums = x[:, WINDOW - 1:]
    for first in (0, 2, 4):
        sums += pairs[:, first:first + sums.shape[1]]
