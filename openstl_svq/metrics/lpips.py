"""LPIPS: the perceptual distance, through the package ``lpips`` and the AlexNet weights that torchvision downloads."""

import functools
import pickle
import socket
import warnings
from collections import deque
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .base import Block, ImageMetric, Unavailable, register_metric

SMALLEST = 31  # pixels that AlexNet's strides and poolings leave something of
_FRAMES = 32  # at a time, to bound the memory of the features
_KEPT = 2**27  # bytes of features of true frames, of some 160 of KTH
_TIMEOUT = 20  # seconds without an answer after which a download is given up


@register_metric("lpips", "perceptual distance of AlexNet's features")
class LPIPS(ImageMetric):
    """See :func:`lpips_distance`."""

    lower_is_better, headline, rank = True, True, 9

    def statistic(self, block: Block) -> Tensor:
        pred, true = (x.flatten(0, 1) for x in (block.pred_image, block.true_image))
        return lpips_distance(pred, true).view(block.pred.shape[:2])


def alexnet(device: torch.device) -> torch.nn.Module:
    """The network on ``device``, its weights from torch's cache or downloaded into it.

    Raises:
        Unavailable: no package ``lpips`` or ``torchvision``, or no weights.
    """
    try:
        import lpips  # noqa: F401
        from torchvision.models import AlexNet_Weights
    except ImportError as error:
        raise Unavailable(
            f"LPIPS needs the packages lpips and torchvision ({error}): pip install 'openstl_svq[images]'"
        ) from error
    source = AlexNet_Weights.IMAGENET1K_V1.url
    file = Path(torch.hub.get_dir(), "checkpoints", source.rpartition("/")[2])
    there = file.exists()
    network = _load(device, file, there)
    if isinstance(network, Exception):
        problem = "cannot be read" if there else "are not there and could not be downloaded"
        raise Unavailable(f"The weights of LPIPS's AlexNet {problem} ({network}). Put {source} at {file}") from network
    return network


@functools.cache  # also of a failure, so that one run tries one download; a file that has appeared is another key
def _load(device: torch.device, file: Path, there: bool) -> torch.nn.Module | Exception:
    import lpips

    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT)  # torch.hub sets none of its own
    try:
        with warnings.catch_warnings():  # lpips 0.1.4 uses old arguments of torchvision's
            warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
            network = lpips.LPIPS(net="alex", verbose=False)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        return error
    finally:
        socket.setdefaulttimeout(timeout)
    network.net = EachOnce(network.net)
    return network.requires_grad_(False).to(device)


class EachOnce(torch.nn.Module):
    """Features of frames, of which equal ones that follow each other, as persistence's do, are looked at once.

    So are true frames, with which one forecast after the other is compared: the last ones' features are kept.
    """

    def __init__(self, net: torch.nn.Module):
        super().__init__()
        self.net = net.to(memory_format=torch.channels_last)  # a fifth faster on a CPU
        self.kept: deque[tuple[Tensor, list[Tensor]]] = deque()

    def forward(self, frames: Tensor) -> list[Tensor]:
        for seen, features in self.kept:
            if seen.shape == frames.shape and torch.equal(seen, frames):
                return features
        distinct, index = torch.unique_consecutive(frames, dim=0, return_inverse=True)
        return [features[index] for features in self.net(distinct.contiguous(memory_format=torch.channels_last))]

    def keep(self, frames: Tensor) -> None:
        """Those of ``frames``, for calls with them to come."""
        features = self(frames)
        if not any(features is known for _, known in self.kept):
            self.kept.append((frames, features))
        while (
            len(self.kept) > 1 and sum(x.nbytes for frames, features in self.kept for x in (frames, *features)) > _KEPT
        ):
            self.kept.popleft()


@torch.no_grad()
def lpips_distance(pred: Tensor, true: Tensor) -> Tensor:
    """LPIPS (Zhang et al. 2018, arXiv:1801.03924; AlexNet, version 0.1) of each frame.

    Args:
        pred, true: ``(N, C, H, W)`` with values in [0, 1] and C = 1 (taken as grey) or 3.

    Returns:
        float32 ``(N,)``.

    Raises:
        ValueError: other channels, or frames below 31 x 31 pixels.
        Unavailable: see :func:`alexnet`.
    """
    if pred.shape[1] not in (1, 3) or min(pred.shape[-2:]) < SMALLEST:
        raise ValueError(
            f"lpips takes frames of 1 or 3 channels and at least {SMALLEST} x {SMALLEST} pixels; got "
            f"{' x '.join(map(str, pred.shape[1:]))}. Leave lpips out of the metrics."
        )
    network: Any = alexnet(pred.device)
    frames = ((2 * x.float() - 1).expand(-1, 3, -1, -1).split(_FRAMES) for x in (pred, true))
    distances = []
    with torch.autocast(pred.device.type, enabled=False):
        for p, t in zip(*frames):
            network.net.keep(network.scaling_layer(t))
            distances.append(network(p, t).flatten())
    return torch.cat(distances)
