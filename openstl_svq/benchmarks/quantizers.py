"""Quantizers with one codebook size (Table 13)."""

import statistics

import torch

from ..models import SimVP_SVQ_Model
from ..models.cost import model_cost
from ..timing import paired_ratio, peak_memory, time_in_turn
from . import Progress, register_benchmark
from .step import DROP_PATH, WEATHER_S, Backbone, TrainingStep, size_of
from .tables import Table, giga, mebibytes, mega, milliseconds, times

# Label, quantizer, settings, FLOPs in Table 13. SVQ's are those of the reference form.
_SAME_SIZE = (
    ("no quantizer", None, {}, None),
    ("VQ", "vq", {}, "7.207G"),
    ("Residual VQ", "residual_vq", {}, "8.616G"),
    ("Residual VQ (stochastic)", "residual_vq_stochastic", {}, "8.616G"),
    ("Grouped residual VQ", "grouped_residual_vq", {}, "8.616G"),
    ("Multi-headed VQ", "multi_headed_vq", {}, "8.717G"),
    ("SVQ (learnable), reference form", "svq", {"form": "reference"}, "8.037G"),
    ("SVQ (frozen)", "svq", {"learn_codebook": False}, None),
    ("SVQ (learnable)", "svq", {}, None),
    ("MLP (SVQ's fold, trained directly)", "mlp", {}, None),
)


@register_benchmark("quantizers", "quantizers with one codebook size: Table 13")
def quantizers_table(
    backbone: Backbone = WEATHER_S,
    batch_size: int = 2,
    codebook_size: int = 1024,
    rounds: int = 7,
    *,
    device: str = "cpu",
    progress: Progress = None,
) -> Table:
    """Table 13: every quantizer with one codebook size on one backbone, each as a ratio to no quantizer in this run."""
    backbone = {**WEATHER_S, **backbone}
    torch.manual_seed(0)
    as_printed = backbone == WEATHER_S and codebook_size == 1024
    rows, steps = [], {}
    for label, name, settings, printed in _SAME_SIZE:
        if progress:
            progress(f"counting, {label}")
        choice = (
            {"quant_position": "none"}
            if name is None
            else {"quantizer": name, "quantizer_kwargs": {"codebook_size": codebook_size, **settings}}
        )
        model = SimVP_SVQ_Model(**backbone, drop_path=DROP_PATH, **choice)
        cost = model_cost(model, backbone["in_shape"])
        steps[label] = TrainingStep(model, backbone["in_shape"], batch_size, device)
        rows.append(
            {
                "quantizer": label,
                "params": cost.params,
                "flops": cost.flops,
                **({"flops_printed": printed} if as_printed else {}),
            }
        )
    training = time_in_turn(steps, rounds, device, progress=progress)
    inference = time_in_turn({k: s.forecast for k, s in steps.items()}, 2 * rounds, device, progress=progress)

    baseline = rows[0]["quantizer"]
    for row in rows:
        label = row["quantizer"]
        if progress:
            progress(f"memory, {label}")
        steps[label].optimizer.zero_grad()
        step, forecast = (paired_ratio(v[label], v[baseline]) for v in (training, inference))
        row |= {
            "fps": 1 / statistics.median(inference[label]),
            "fps_ratio": 1 / forecast.median,
            "step_seconds": statistics.median(training[label]),
            "step_ratio": step.median,
            "step_low": step.low,
            "step_high": step.high,
            "step_text": str(step),
            "memory": peak_memory(steps[label], device),
        }
    for row in rows:
        row |= {f"{key}_ratio": row[key] / rows[0][key] for key in ("params", "flops", "memory")}
    columns = {
        "quantizer": "Quantizer",
        "params": ("Parameters", mega),
        "params_ratio": ("ratio", times),
        "flops": ("FLOPs", giga),
        "flops_printed": "Table 13",
        "flops_ratio": ("ratio", times),
        "fps": ("Forecasts/s", ".2f"),
        "fps_ratio": ("ratio", times),
        "step_seconds": ("Training step", milliseconds),
        "step_text": "ratio, 95 % interval",
        "memory": ("Peak memory", mebibytes),
        "memory_ratio": ("ratio", times),
    }
    if not as_printed:
        del columns["flops_printed"]
    return Table(
        columns,
        rows,
        f"Quantizers with {codebook_size:,} codes on SimVP({backbone['model_type']}), {size_of(backbone)} (Table 13)",
        [
            "Ratios are to no quantizer in this run; those of times are medians of paired ratios.",
            f"Training step and its peak memory: batch {batch_size}, {rounds} rounds in turn. The rest: batch 1.",
            "SVQ is folded where it does not say reference form, which is what Table 13 counts in both rows of SVQ.",
            "Codebooks that are moving averages are not parameters.",
        ],
    )
