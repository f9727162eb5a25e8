"""A training step with very many codes against one with few, and what the optimizer keeps of them."""

import statistics
from typing import Any

import torch

from ..acceleration import accelerate, fuse_optimizer
from ..models import SimVP_SVQ_Model
from ..timing import get_clock, paired_ratio, time_in_turn
from . import Progress, register_benchmark
from .step import WEATHER_S, Backbone, TrainingStep, size_of
from .tables import Table, mebibytes, milliseconds


@register_benchmark("codes", "a training step with a million codes against one with ten thousand")
def codes_table(
    backbone: Backbone = WEATHER_S,
    few: int = 10_000,
    many: int = 1_000_000,
    batch_size: int = 16,
    rounds: int = 5,
    clock: str = "wall",
    *,
    device: str = "cpu",
    progress: Progress = None,
) -> Table:
    """A whole training step of SimVP with SVQ, for two sizes of the codebook, the larger one learned and frozen.

    Args:
        few, many: codes.
        clock: wall, or processor on a machine that others use too.
    """
    backbone = {**WEATHER_S, **backbone}
    forms: dict[str, dict[str, Any]] = {
        f"{few:,}": {"codebook_size": few},
        f"{many:,}": {"codebook_size": many},
        f"{many:,}, frozen": {"codebook_size": many, "learn_codebook": False},
    }
    steps = {}
    for name, settings in forms.items():
        torch.manual_seed(0)
        model = accelerate(SimVP_SVQ_Model(**backbone, quantizer="svq", quantizer_kwargs=settings))
        steps[name] = TrainingStep(model, backbone["in_shape"], batch_size, device)
        fuse_optimizer(steps[name].optimizer)
    seconds = time_in_turn(steps, rounds, device, progress=progress, clock=get_clock(clock))
    rows = []
    for name, values in seconds.items():
        ratio = paired_ratio(values, seconds[f"{few:,}"])
        codebook = steps[name].model.quantizer.codebook
        kept = steps[name].optimizer.state.get(codebook, {})
        rows.append(
            {
                "codes": name,
                "seconds": statistics.median(values),
                "ratio": ratio.median,
                "ratio_text": str(ratio),
                "codebook": codebook.nbytes,
                "state": sum(moment.nbytes for moment in kept.values()),
            }
        )
    columns = {
        "codes": "Codes",
        "seconds": ("Step", milliseconds),
        "ratio_text": f"Ratio to {few:,}",
        "codebook": ("Codebook", mebibytes),
        "state": ("what the optimizer keeps of it", mebibytes),
    }
    return Table(
        columns,
        rows,
        f"Training step by codes: SimVP({backbone['model_type']})+SVQ on {size_of(backbone)}, batch {batch_size}",
        [
            f"Accelerated: forward, loss, backward and Adam; {rounds} rounds in turn, paired, with a 95 % interval.",
            f"Time: {clock}.",
        ],
    )
