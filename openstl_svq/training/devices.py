"""The same training on any number of processes: the total batch split among them, statistics shared."""

import torch
import torch.distributed as dist
from torch import Tensor, nn


def split_batch(total: int, processes: int, largest: int) -> tuple[int, int]:
    """How each process makes its share of ``total`` samples: ``(batch size, batches per optimizer step)``.

    Args:
        largest: batch size that a process has room for.

    Raises:
        ValueError: the processes cannot have equal shares.
    """
    if total % processes:
        below = total // processes * processes
        nearest = f"{below} or {below + processes}" if below else f"{processes}"
        raise ValueError(
            f"a total batch of {total} cannot be split among {processes} processes evenly: take "
            f"--total_batch_size {nearest}, or another number of devices."
        )
    share = total // processes
    batches = next(n for n in range(1, share + 1) if share % n == 0 and share // n <= largest)
    return share // batches, batches


class _SumOverProcesses(torch.autograd.Function):
    """Every process adds to every sum, so each one's gradient is the sum of the gradients."""

    @staticmethod
    def forward(ctx, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _SumOverProcesses.apply(gradient.contiguous())


class SharedBatchNorm2d(nn.BatchNorm2d):
    """``nn.BatchNorm2d`` whose statistics in training are those of the batches of all processes, also on a CPU.

    Batches of the processes are of one size. Mean and variance are reduced one after the other: mean squares minus a
    squared mean would lose digits.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and dist.is_initialized()):
            return super().forward(x)
        processes = dist.get_world_size()
        variance, mean = torch.var_mean(x.float(), (0, 2, 3), correction=0)  # (C)
        common = _SumOverProcesses.apply(mean) / processes
        variance = _SumOverProcesses.apply(variance + (mean - common) ** 2) / processes
        if self.track_running_stats and self.running_mean is not None and self.running_var is not None:
            with torch.no_grad():
                self.num_batches_tracked.add_(1)
                count = processes * x.numel() // x.shape[1]
                share = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
                self.running_mean.lerp_(common, share)
                self.running_var.lerp_(variance * count / max(count - 1, 1), share)
        scale = torch.rsqrt(variance + self.eps)
        scale, shift = (scale * self.weight, self.bias) if self.affine else (scale, torch.zeros_like(scale))
        y = x * scale.view(-1, 1, 1) + (shift - common * scale).view(-1, 1, 1)
        return y.to(x.dtype)


def share_batch_norms(model: nn.Module) -> nn.Module:
    """Makes every ``nn.BatchNorm2d`` in ``model`` a :class:`SharedBatchNorm2d`, in place; state-dict keys stay."""
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm2d
    return model
