"""A training step and a forecast, as fast as runs make them by default, against torch's plain layers."""

import copy
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from ..acceleration import accelerate, fold_codebooks, fuse_optimizer, keep_freed_memory
from ..models import SimVP_SVQ_Model
from ..naming import choose
from ..timing import get_clock, paired_ratio, time_in_turn
from . import Progress, register_benchmark
from .step import WEATHER_S, Backbone, TrainingStep, size_of
from .tables import Table, milliseconds

TRANSLATORS = [
    "gSTA",
    "ConvMixer",
    "ConvNeXt",
    "HorNet",
    "IncepU",
    "MLPMixer",
    "MogaNet",
    "Poolformer",
    "Swin",
    "TAU",
    "Uniformer",
    "VAN",
    "ViT",
]


class _Autocast(nn.Module):
    def __init__(self, model: nn.Module, device: str):
        super().__init__()
        self.model, self.device_type = model, torch.device(device).type
        self.quantizer = model.quantizer

    def forward(self, *inputs, **options) -> Any:
        with torch.autocast(self.device_type, dtype=torch.bfloat16):
            return self.model(*inputs, **options)


@register_benchmark("speed", "a training step and forecasts, accelerated against plain, for every translator")
def speed_table(
    backbone: Backbone = WEATHER_S,
    translators: Sequence[str] = (),
    batch_size: int = 2,
    codebook_size: int = 10_000,
    rounds: int = 7,
    precision: str = "32",
    compile: str = "no",
    clock: str = "wall",
    *,
    device: str = "cpu",
    progress: Progress = None,
) -> Table:
    """SimVP with SVQ, accelerated against plain: medians of paired ratios, in one process and in turn.

    Args:
        translators: all thirteen by default.
        precision: of the accelerated form: 32 or bf16.
        compile: yes to compile the accelerated form as well.
        clock: wall, or processor on a machine that others use too.
    """
    backbone, rows = {**WEATHER_S, **backbone}, []
    choose("precision", precision, ("32", "bf16"))
    choose("compile", compile, ("no", "yes"))
    timing: dict[str, Any] = {"rounds": rounds, "device": device, "clock": get_clock(clock)}
    for name in translators or TRANSLATORS:
        torch.manual_seed(0)
        svq = {"quantizer": "svq", "quantizer_kwargs": {"codebook_size": codebook_size}}
        plain = SimVP_SVQ_Model(**{**backbone, "model_type": name}, **svq)
        fast = accelerate(copy.deepcopy(plain))
        if compile == "yes":
            fast.compile(dynamic=False)
        if precision == "bf16":
            fast = _Autocast(fast, device)
        steps = {
            "plain": TrainingStep(plain, backbone["in_shape"], batch_size, device),
            "fast": TrainingStep(fast, backbone["in_shape"], batch_size, device),
        }
        fuse_optimizer(steps["fast"].optimizer)

        def said(what, name=name):
            if progress:
                progress(f"{name}, {what}")

        training = time_in_turn(each_with_its_memory(steps), warmup=2, progress=said, **timing)
        fold_codebooks(steps["fast"].model)
        row: dict[str, Any] = {"translator": name}
        row |= _columns("step", training)
        for size in (1, 16):
            calls = {key: _forecast(step.model, step.x[:1].expand(size, -1, -1, -1, -1)) for key, step in steps.items()}
            row |= _columns(f"forecast_{size}", time_in_turn(each_with_its_memory(calls), progress=said, **timing))
        rows.append(row)
    keep_freed_memory(False)
    if len(rows) > 1:
        keys = [key for key in rows[0] if key.endswith("_ratio")]
        medians = {key: statistics.median(row[key] for row in rows) for key in keys}
        texts = {key.replace("_ratio", "_text"): f"{value:.3f}" for key, value in medians.items()}
        rows.append({"translator": "median", **medians, **texts})
    columns: dict = {"translator": "Translator"}
    for key, head in (("step", "Step"), ("forecast_1", "Forecast"), ("forecast_16", "16 forecasts")):
        columns |= {f"{key}_plain": (f"{head}, plain", milliseconds), f"{key}_text": "fast / plain"}
    return Table(
        columns,
        rows,
        f"Accelerated against plain: SimVP+SVQ on {size_of(backbone)}, batch {batch_size}, precision {precision}"
        + (", compiled" if compile == "yes" else ""),
        [
            f"Training step: forward, loss, backward and Adam; {rounds} rounds in turn, paired, with a 95 % interval.",
            f"Time: {clock}.",
            f"SVQ: {codebook_size:,} codes, folded away in the accelerated forecast.",
        ],
    )


def each_with_its_memory(calls: dict[str, Any], plain: str = "plain") -> dict[str, Callable]:
    """``calls``, all but ``plain`` with memory that is kept."""

    def call(key: str) -> None:
        keep_freed_memory(key != plain)
        calls[key]()

    return {key: partial(call, key) for key in calls}


def _columns(key: str, seconds: dict[str, list[float]]) -> dict[str, Any]:
    ratio = paired_ratio(seconds["fast"], seconds["plain"])
    return {
        f"{key}_plain": statistics.median(seconds["plain"]),
        f"{key}_fast": statistics.median(seconds["fast"]),
        f"{key}_ratio": ratio.median,
        f"{key}_text": str(ratio),
    }


def _forecast(model: nn.Module, x: torch.Tensor):
    x = x.contiguous()

    @torch.inference_mode()
    def call():
        model.eval()
        model(x)

    return call
