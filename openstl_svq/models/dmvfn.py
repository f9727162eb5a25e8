"""DMVFN: a dynamic multi-scale voxel flow network (Hu et al. 2023, arXiv:2303.09875)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DMVFN_Model(nn.Module):
    """The next frame as a blend of the last two, each moved along a flow that blocks of several scales refine in turn.

    Every block adds to the voxel flow: the logit ``m`` of the blend and the two frames' displacements ``f``. A routing
    module gives each block a probability from the two frames::

        p = clamp(beta n u / sum(u), 0, 1),  u = sigmoid(linear(pool(convolutions(frames))))
        m, f = m + r dm, f + r df,           r ~ Bernoulli(p) in training, with the gradient of p (straight through)
        frame = sigmoid(m) warp(I_(t-1), f_0:2) + (1 - sigmoid(m)) warp(I_t, f_2:4)

    In evaluation ``r`` is 1 where p is at least one half, and for the most probable block in any case: the same frames
    give the same forecast, and blocks that no sample needs are not run. Frames further ahead are forecast from
    forecasts.

    Args:
        in_shape: ``(T, C, H, W)`` of the input, of which the last two frames are read.
        aft_seq_length: frames to forecast.
        num_features: width of each block.
        scale: by how much the grid is coarser on each block's motion path.
        routing_out_channels: width of the routing module.
        beta: share of the blocks that the routing aims at.
        pixel_max: frames lie in ``[0, pixel_max]``, and so do the forecasts; ``None`` for frames without bounds.

    Raises:
        ValueError: fewer than two input frames, a grid that the blocks cannot divide, other bad sizes.
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        aft_seq_length: int = 1,
        num_features: Sequence[int] = (160, 160, 160, 80, 80, 80, 44, 44, 44),
        scale: Sequence[int] = (4, 4, 4, 2, 2, 2, 1, 1, 1),
        routing_out_channels: int = 32,
        beta: float = 0.5,
        pixel_max: float | None = 1.0,
    ):
        super().__init__()
        frames, channels, height, width = in_shape
        if frames < 2:
            raise ValueError(
                f"DMVFN forecasts from the motion between two frames, and in_shape has {frames}: set pre_seq_length to "
                "2 or more."
            )
        if len(num_features) != len(scale) or not scale:
            raise ValueError(
                f"num_features and scale have an entry for each block, got {len(num_features)} and {len(scale)}."
            )
        if min(scale) < 1 or min(num_features) < 4:
            raise ValueError(f"scale must be 1 or more and num_features 4 or more, got {scale} and {num_features}.")
        if not 0 < beta <= 1:
            raise ValueError(f"beta is the share of blocks to run, above 0 and up to 1; got {beta}.")
        factor = 4 * max(scale)  # the motion path halves its coarser grid twice
        if height % factor or width % factor:
            nearest = [max(1, round(size / factor)) * factor for size in (height, width)]
            raise ValueError(
                f"DMVFN's blocks divide the grid by {factor} = 4 * {max(scale)}, the largest scale, and {height} x "
                f"{width} cannot be. Lower scale, or give frames of {nearest[0]} x {nearest[1]}."
            )
        self.aft_seq_length, self.beta, self.pixel_max = aft_seq_length, beta, pixel_max
        self.blocks = nn.ModuleList(_Block(4 * channels + 5, f, s) for f, s in zip(num_features, scale))
        self.routing = nn.Sequential(
            nn.Conv2d(2 * channels, routing_out_channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(routing_out_channels, routing_out_channels, 3, padding=1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(routing_out_channels, len(scale)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, T, C, H, W)`` -> the ``aft_seq_length`` frames that follow, ``(B, aft_seq_length, C, H, W)``."""
        frames = [x[:, -2], x[:, -1]]
        for _ in range(self.aft_seq_length):
            frames.append(self._next(*frames[-2:]))
        return torch.stack(frames[2:], dim=1)

    def refinements(self, before: Tensor, last: Tensor) -> Tensor:
        """What every block makes of two frames, all blocks run: twice ``(B, C, H, W)`` -> ``(blocks, B, C, H, W)``.

        Each frame is the one with this block's addition in full, so that every block learns; the last is the forecast,
        with the routed additions alone.
        """
        routes = self._routes(before, last)
        flow = _no_flow(last)
        frames = []
        for number, block in enumerate(self.blocks):
            added = block(before, last, flow)
            if number < len(self.blocks) - 1:
                frames.append(self._blend(before, last, flow + added))
            flow = flow + added * routes[:, number, None, None, None]
        return torch.stack([*frames, self._blend(before, last, flow)])

    def _next(self, before: Tensor, last: Tensor) -> Tensor:
        """The frame after two, ``(B, C, H, W)`` each, with no more blocks run than a sample's routing takes."""
        if self.training:
            return self.refinements(before, last)[-1]
        routes = self._routes(before, last).bool()
        flow = _no_flow(last)
        for number, block in enumerate(self.blocks):
            rows = routes[:, number].nonzero().flatten()
            if len(rows):
                added = block(before[rows], last[rows], flow[rows])
                flow = flow.index_add(0, rows, added.to(flow.dtype))
        return self._blend(before, last, flow)

    def _routes(self, before: Tensor, last: Tensor) -> Tensor:
        """Which blocks run, 0 or 1: ``(B, blocks)``, in training with the gradient of their probabilities."""
        wanted = torch.sigmoid(self.routing(torch.cat([before, last], dim=1)))
        share = (self.beta * len(self.blocks) * wanted / wanted.sum(1, keepdim=True)).clamp(0, 1)
        if not self.training:
            return (share >= share.amax(1, keepdim=True).clamp(max=0.5)).to(share)
        return share + (torch.bernoulli(share) - share).detach()

    def _blend(self, before: Tensor, last: Tensor, flow: Tensor) -> Tensor:
        a, b = _moved(before, last, flow)
        weight = torch.sigmoid(flow[:, :1])
        frame = weight * a + (1 - weight) * b
        return frame if self.pixel_max is None else frame.clamp(0, self.pixel_max)


class _Block(nn.Module):
    """A multi-scale voxel flow block: a motion path on a grid coarser by ``scale``, a spatial path on the frames' own.

    Two frames ``(B, C, H, W)`` and the voxel flow ``(B, 5, H, W)``, the blend's logit and two displacements in pixels
    -> what it adds to the flow, ``(B, 5, H, W)``.
    """

    def __init__(self, inputs: int, features: int, scale: int):
        super().__init__()
        self.scale = scale
        self.shrink = nn.Sequential(
            *_convolution(inputs, features // 2, stride=2), *_convolution(features // 2, features, stride=2)
        )
        self.motion = nn.Sequential(*(layer for _ in range(3) for layer in _convolution(features, features)))
        self.squeeze = nn.Sequential(*_convolution(features, features // 4))
        self.spatial = nn.Sequential(*_convolution(inputs, 8, stride=2), *_convolution(8, 8))
        self.head = nn.ConvTranspose2d(features // 4 + 8, 5, 4, stride=2, padding=1)

    def forward(self, before: Tensor, last: Tensor, flow: Tensor) -> Tensor:
        inputs = torch.cat([before, last, *_moved(before, last, flow), flow], dim=1)  # (B, 4 C + 5, H, W)
        coarse = inputs
        if self.scale > 1:
            coarse = _resize(inputs, 1 / self.scale)
            coarse = torch.cat([coarse[:, :-4], coarse[:, -4:] / self.scale], dim=1)  # in pixels of the coarser grid
        coarse = self.shrink(coarse)  # (B, features, H / 4 scale, W / 4 scale)
        motion = _resize(self.squeeze(self.motion(coarse) + coarse), 2 * self.scale)
        return self.head(torch.cat([motion, self.spatial(inputs)], dim=1))


def _convolution(inputs: int, outputs: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1), nn.PReLU(outputs)


def _resize(x: Tensor, factor: float) -> Tensor:
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def _no_flow(frame: Tensor) -> Tensor:
    return frame.new_zeros(len(frame), 5, *frame.shape[-2:])


def _moved(before: Tensor, last: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Both frames, each moved along its displacement."""
    return warp(before, flow[:, 1:3]), warp(last, flow[:, 3:5])


def warp(frame: Tensor, displacement: Tensor) -> Tensor:
    """``frame`` read at the places that ``displacement`` points to, bilinear, its border repeated beyond it.

    Args:
        frame: ``(B, C, H, W)``.
        displacement: ``(B, 2, H, W)``, pixels along the width and the height.
    """
    height, width = frame.shape[-2:]
    rows, columns = (
        torch.linspace(-1, 1, size, device=frame.device, dtype=displacement.dtype) for size in (height, width)
    )
    y = rows[:, None] + displacement[:, 1] * (2 / max(1, height - 1))  # (B, H, W)
    x = columns + displacement[:, 0] * (2 / max(1, width - 1))
    places = torch.stack([x, y], dim=-1).to(frame.dtype)
    return F.grid_sample(frame, places, mode="bilinear", padding_mode="border", align_corners=True)
