"""SSIM of a batch of frames against scikit-image's."""

import statistics

import torch

from ..metrics import ssim
from ..timing import paired_ratio, time_in_turn
from . import Progress, register_benchmark
from .tables import Table, microseconds

_FRAMES = (
    ("WeatherBench-S", (1, 32, 64)),
    ("TaxiBJ", (2, 32, 32)),
    ("KTH", (1, 128, 128)),
    ("KittiCaltech", (3, 128, 160)),
    ("Human3.6M", (3, 256, 256)),
)


@register_benchmark("ssim", "SSIM of a batch against scikit-image's frame by frame")
def ssim_table(batch_size: int = 64, rounds: int = 7, *, device: str = "cpu", progress: Progress = None) -> Table:
    """SSIM of a batch of frames against scikit-image's, frame by frame in a loop, as OpenSTL computes it."""
    from skimage.metrics import structural_similarity

    generator = torch.Generator().manual_seed(0)
    rows = []
    for label, shape in _FRAMES:
        pred, true = torch.rand(2, batch_size, *shape, generator=generator)
        pairs = [(p.movedim(0, -1).numpy(), t.movedim(0, -1).numpy()) for p, t in zip(pred, true)]
        on_device = pred.to(device), true.to(device)
        answers = {}

        def loop():
            answers["loop"] = [structural_similarity(p, t, channel_axis=-1, data_range=2.0) for p, t in pairs]

        def batch():
            answers["batch"] = ssim(*on_device)

        seconds = time_in_turn(
            {"loop": loop, "batch": batch},
            rounds,
            device,
            progress=progress and (lambda what: progress(f"{label}, {what}")),
        )
        ratio = paired_ratio(seconds["loop"], seconds["batch"])
        rows.append(
            {
                "frames": label,
                "size": " x ".join(map(str, shape)),
                **{f"{key}_seconds": statistics.median(values) / batch_size for key, values in seconds.items()},
                "ratio": ratio.median,
                "ratio_text": str(ratio),
                "difference": (torch.tensor(answers["loop"]) - answers["batch"].cpu()).abs().max().item(),
            }
        )
    columns = {
        "frames": "Frames",
        "size": "Size",
        "loop_seconds": ("scikit-image, a frame", microseconds),
        "batch_seconds": ("Batch, a frame", microseconds),
        "ratio_text": "Faster",
        "difference": ("Largest difference", ".1e"),
    }
    return Table(
        columns,
        rows,
        f"SSIM of {batch_size} frames",
        [
            f"float32, {rounds} rounds in turn; medians of paired ratios with a 95 % interval.",
            "scikit-image runs on one CPU thread.",
        ],
    )
