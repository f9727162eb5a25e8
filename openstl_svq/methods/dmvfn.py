"""DMVFN as a method, with its two losses."""

import functools
import pickle
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..host import Base_method
from ..losses import log_train_loss
from ..models.dmvfn import DMVFN_Model
from ..naming import accepted
from .pixels import check_pixel_range
from .registry import Method, builds, register_method

VGG_URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"


class DMVFN(Base_method):
    """DMVFN (Hu et al. 2023): learns the frame after every two of a window's, known and to be forecast.

    The training loss is the Laplacian loss of every block's frame, the last block's in full and those before by powers
    of ``gamma``, and ``perceptual_weight`` times the perceptual loss of the last. One step of the optimizer takes all
    pairs of a batch's windows.
    """

    own_loss = True

    def _build_model(self, **args) -> DMVFN_Model:
        return DMVFN_Model(**accepted(DMVFN_Model, args))

    def on_fit_start(self):
        super().on_fit_start()
        check_pixel_range(self)
        if self.hparams.perceptual_weight:
            vgg19(self.device)

    def forward(self, batch_x: Tensor, batch_y: Tensor | None = None, **kwargs) -> Tensor:
        """``(B, pre_seq_length, C, H, W)`` -> ``(B, aft_seq_length, C, H, W)``."""
        return self.model(batch_x)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        window = torch.cat(batch, dim=1)  # (B, T, C, H, W)
        before, last, truth = (window[:, k : window.shape[1] - 2 + k].flatten(0, 1) for k in range(3))
        frames = self.model.refinements(before, last)  # (blocks, B (T - 2), C, H, W)
        weights = self.hparams.gamma ** torch.arange(len(frames) - 1, -1, -1, device=frames.device)
        loss = (weights * laplacian_loss(frames, truth)).sum()
        if self.hparams.perceptual_weight:
            loss = loss + self.hparams.perceptual_weight * perceptual_loss(frames[-1], truth)
        return log_train_loss(self, loss, len(window))


def laplacian_loss(frames: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute difference of the Laplacian pyramids, summed over their levels: 5, or 3 up to 32 pixels.

    Args:
        frames: ``(K, N, C, H, W)``.
        truth: ``(N, C, H, W)``.

    Returns:
        ``(K)``.
    """
    levels = 5 if min(truth.shape[-2:]) > 32 else 3
    pairs = zip(_laplacian_pyramid(frames.flatten(0, 1), levels), _laplacian_pyramid(truth, levels))
    return sum((a.unflatten(0, frames.shape[:2]) - b).abs().mean((1, 2, 3, 4)) for a, b in pairs)


def _laplacian_pyramid(x: Tensor, levels: int) -> Iterator[Tensor]:
    """What a blur takes out of ``(N, C, H, W)``, then of its half, and so on (Burt and Adelson 1983)."""
    row = x.new_tensor([1, 4, 6, 4, 1]) / 16
    kernel = torch.outer(row, row).expand(x.shape[1], 1, 5, 5)
    for _ in range(levels):
        small = _blur(x, kernel)[..., ::2, ::2]
        spread = torch.zeros_like(x)
        spread[..., ::2, ::2] = small
        yield x - _blur(spread, 4 * kernel)
        x = small


def _blur(x: Tensor, kernel: Tensor) -> Tensor:
    return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), kernel, groups=x.shape[1])


# Layers of VGG-19 (a number: convolution to so many channels and ReLU; M: pooling) up to the last that is compared.
_VGG_LAYERS = [64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512]
# After which layers features are compared, counted as torchvision does, and what they weigh.
_COMPARED = {1: 1 / 2.6, 6: 1 / 4.8, 11: 1 / 3.7, 20: 1 / 5.6, 29: 10 / 1.5}
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and standard deviation of the network's input


def perceptual_loss(frames: Tensor, truth: Tensor) -> Tensor:
    """A tenth of the weighted mean absolute differences between VGG-19's features of the frames (Johnson et al. 2016).

    Args:
        frames, truth: ``(N, C, H, W)`` in [0, 1], 16 x 16 pixels or more. Three channels are taken as red, green, blue;
            the mean of any other number as grey.

    Returns:
        A scalar.
    """
    frames, truth = frames.float(), truth.float()  # as the network is
    mean, std = (frames.new_tensor(v)[:, None, None] for v in _IMAGENET)
    a, b = ((v if v.shape[1] == 3 else v.mean(1, keepdim=True)).sub(mean).div(std) for v in (frames, truth))
    loss = frames.new_zeros(())
    for number, layer in enumerate(vgg19(frames.device)):
        a, b = layer(a), layer(b)
        if number in _COMPARED:
            loss = loss + 0.1 * _COMPARED[number] * (a - b).abs().mean()
    return loss


def vgg19(device: torch.device) -> nn.Sequential:
    """The convolutions of VGG-19 trained on ImageNet, frozen, from torchvision's file of weights in torch's cache.

    Raises:
        FileNotFoundError: the file is not there; the message says which to put where.
        ValueError: it is another file.
    """
    file = Path(torch.hub.get_dir(), "checkpoints", VGG_URL.rpartition("/")[2])
    if not file.is_file():
        raise FileNotFoundError(
            f"DMVFN's perceptual loss needs the weights of VGG-19: put {VGG_URL} at {file}, or train without it "
            "(--cfg_options perceptual_weight=0)."
        )
    return _load_vgg19(file, file.stat().st_mtime_ns, torch.device(device))


@functools.lru_cache(maxsize=2)
def _load_vgg19(file: Path, changed: int, device: torch.device) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for entry in _VGG_LAYERS:
        if isinstance(entry, int):
            layers += [nn.Conv2d(channels, entry, 3, padding=1), nn.ReLU()]
            channels = entry
        else:
            layers.append(nn.MaxPool2d(2))
    network = nn.Sequential(*layers)
    try:
        saved = torch.load(file, map_location="cpu", weights_only=True)
        network.load_state_dict({key: saved[f"features.{key}"] for key in network.state_dict()})
    except (KeyError, TypeError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{file} is not torchvision's VGG-19 ({error}): put {VGG_URL} there.") from error
    return network.requires_grad_(False).eval().to(device)


register_method(
    Method(
        "dmvfn",
        DMVFN,
        DMVFN_Model,
        config_keys={"gamma", "perceptual_weight"},
        defaults={"gamma": 0.8, "perceptual_weight": 0.5},
        check=builds(DMVFN_Model),
    )
)
