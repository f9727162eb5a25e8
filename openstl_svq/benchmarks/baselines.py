"""A training step of each recurrent method, against the real OpenSTL's where that is installed."""

import random
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..config_file import load_config
from ..host import describe, method_maps
from ..host.builtin.methods import method_maps as builtin_methods
from ..naming import choose
from ..timing import get_clock, paired_ratio, time_in_turn
from . import Progress, register_benchmark
from .backbones import CONFIGS, OTHERS
from .tables import Table, milliseconds

_FRAMES = {"in_shape": [12, 1, 32, 64], "pre_seq_length": 12, "aft_seq_length": 12, "total_length": 24}
_REST = {"dataname": "weather_t2m_5_625", "data_name": "t2m", "metrics": ["mse"], "dist": False}


class _Step:
    """A whole step of training of a method outside a trainer: sampling, forward, loss, backward, Adam."""

    def __init__(self, method_class: type, config: dict, batch_size: int, device: str):
        class Alone(method_class):
            def log(self, *args, **kwargs):
                pass

        torch.manual_seed(0)
        self.method = Alone(**config, device=device).to(device).train()
        generator = torch.Generator().manual_seed(1)
        frames = torch.randn(batch_size, 24, *_FRAMES["in_shape"][1:], generator=generator).to(device)
        self.batch = frames.split(12, dim=1)
        self.optimizer = torch.optim.Adam([p for p in self.method.parameters() if p.requires_grad], lr=1e-4)
        self.losses: list[float] = []

    def __call__(self):
        np.random.seed(len(self.losses)), random.seed(len(self.losses))  # noqa: NPY002 (the generator that sampling uses)
        loss = self.method.training_step(self.batch, 0)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.item())


@register_benchmark("baselines", "a training step of each recurrent method, against the real OpenSTL's")
def baselines_table(
    method: Sequence[str] = (),
    batch_size: int = 1,
    rounds: int = 7,
    clock: str = "wall",
    configs: Path = CONFIGS,
    *,
    device: str = "cpu",
    progress: Progress = None,
) -> Table:
    """A training step at the size of WeatherBench-S, with the configurations of ``weather/t2m_5_625``.

    In the real OpenSTL both implementations stand in this process, start from the same weights and step in turn;
    elsewhere there is nothing to compare with.

    Args:
        method: configurations to time, such as ConvLSTM; all by default.
        clock: wall, or processor on a machine that others use too.
    """
    seconds_of = get_clock(clock)
    for name in method:
        choose("recurrent method", name, OTHERS)
    rows = []
    for name in method or OTHERS:
        config = {**load_config(configs / "weather/t2m_5_625" / f"{name}.py"), **_FRAMES, **_REST}
        ours = builtin_methods[config["method"]]
        steps = {"ours": _Step(ours, config, batch_size, device)}
        if describe().name == "openstl":
            steps["theirs"] = _Step(method_maps[config["method"]], config, batch_size, device)
        seconds = time_in_turn(steps, rounds, device, progress=progress, clock=seconds_of)
        row = {"method": name, "seconds": statistics.median(seconds["ours"]), "losses": steps["ours"].losses}
        if "theirs" in steps:
            ratio = paired_ratio(seconds["ours"], seconds["theirs"])
            apart = np.abs(np.array(steps["ours"].losses) / steps["theirs"].losses - 1).max()
            row |= {"theirs": statistics.median(seconds["theirs"]), "difference": float(apart)}
            row |= {"ratio": ratio.median, "low": ratio.low, "high": ratio.high}
        rows.append(row)
    columns = {
        "method": "Method",
        "seconds": ("Step", milliseconds),
        "theirs": ("OpenSTL's", milliseconds),
        "ratio": ("Ratio", ".3f"),
        "low": ("from", ".3f"),
        "high": ("to", ".3f"),
        "difference": ("Losses apart", ".0e"),
    }
    title = f"Training step at WeatherBench-S's size, batch {batch_size}"
    return Table(
        columns,
        rows,
        title,
        ["Ratio: median of paired ratios to OpenSTL's step, with a 95 % interval.", f"Time: {clock}."],
    )
