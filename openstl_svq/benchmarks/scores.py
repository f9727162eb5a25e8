"""What the scores of a test epoch cost beside its forecasts."""

import math
import statistics
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..acceleration import accelerate, fold_codebooks
from ..config_file import load_config
from ..data import get_dataset
from ..metrics import ForecastMetrics
from ..naming import choose
from ..statistics import with_interval
from ..timing import get_clock, paired_ratio, time_in_turn
from . import Progress, register_benchmark
from .backbones import CONFIGS, TABLE_12, model_of
from .tables import Table, milliseconds


@register_benchmark("scores", "all scores of a test batch against its forecasts")
def scores_table(
    dataname: Sequence[str] = (),
    batch_size: int = 4,
    rounds: int = 5,
    clock: str = "wall",
    configs: Path = CONFIGS,
    *,
    device: str = "cpu",
    progress: Progress = None,
) -> Table:
    """A batch through ``ForecastMetrics`` with all metrics of the dataset, against the forecasts that it scores.

    Args:
        dataname: datasets; all of Table 12 by default.
        clock: wall, or processor on a machine that others use too.
    """
    backbones = [TABLE_12[choose("dataset of Table 12", name, TABLE_12)] for name in dataname or TABLE_12]
    timing: dict[str, Any] = {"rounds": rounds, "device": device, "clock": get_clock(clock)}
    notes: list[str] = []
    rows = []
    for backbone in backbones:
        dataset = get_dataset(backbone.dataname)
        names = _available(dataset.entry["metrics"], notes)
        config = load_config(configs / backbone.folder / f"SimVP_SVQ_{backbone.translator}.py")
        torch.manual_seed(0)
        model = accelerate(model_of(config, backbone.in_shape, "folded")).to(device).eval()
        fold_codebooks(model)
        x = torch.rand(batch_size, *backbone.in_shape, device=device)
        steps = dataset.entry["aft_seq_length"]
        pred, true = torch.rand(2, batch_size, steps, *backbone.in_shape[1:], device=device)

        def forecast(model=model, x=x, steps=steps):
            with torch.inference_mode():
                for _ in range(math.ceil(steps / x.shape[1])):  # a longer forecast than the input is fed its own output
                    model(x)

        persistence = x[:, -1:].expand_as(true)
        scored = [pred, persistence] + [pred] * dataset.is_field  # in place of a climatology

        def score(names=names, scored=scored, true=true):
            true.copy_(true.roll(1, -1))  # other frames than the last batch's, whose features LPIPS still has
            for forecast in scored:
                ForecastMetrics(names).to(device).update(forecast, true)

        calls = {"forecast": forecast, "scores": score}
        said = progress and (lambda what, label=backbone.label: progress(f"{label}, {what}"))
        seconds = time_in_turn(calls, progress=said, **timing)
        together = [sum(pair) for pair in zip(*seconds.values())]
        share = paired_ratio(seconds["scores"], together)
        rows.append(
            {
                "dataset": backbone.label,
                "metrics": ", ".join(names),
                **{key: statistics.median(values) for key, values in seconds.items()},
                "share": share.median,
                "share_text": with_interval(*share[:3], ".1%"),
            }
        )
    columns = {
        "dataset": "Dataset",
        "metrics": "Scores",
        "forecast": ("Forecasts", milliseconds),
        "scores": ("Scores", milliseconds),
        "share_text": "Share of the scores",
    }
    return Table(
        columns,
        rows,
        f"Scores of a test epoch, batch {batch_size}",
        [
            f"{rounds} rounds in turn, paired, with a 95 % interval. Time: {clock}.",
            "Scored are the forecast, persistence and, for fields, the climatology.",
            *notes,
        ],
    )


def _available(metrics: Sequence[str], notes: list[str]) -> list[str]:
    """Those of ``metrics`` that can be computed here; why not the others joins ``notes``."""
    scores = ForecastMetrics(metrics)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        scores.update(*torch.zeros(2, 1, 1, 3, 64, 64))
    notes += [text for warning in said if (text := str(warning.message)) not in notes]
    return list(scores.metrics)
