"""A whole training step with SVQ against one without a quantizer."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ..methods.quantized import USAGE_INTERVAL, USAGE_TOKENS
from ..models import SimVP_SVQ_Model
from ..timing import paired_ratio, time_in_turn
from . import Progress, register_benchmark
from .tables import Table, milliseconds

Backbone = Mapping[str, Any]  # arguments of SimVP; each is a flag of the command line

WEATHER_S: Backbone = {"in_shape": (12, 1, 32, 64), "hid_S": 32, "hid_T": 256, "N_S": 2, "N_T": 8, "model_type": "gSTA"}
DROP_PATH = 0.1


class TrainingStep:
    """A whole step of training: forward, loss, backward, Adam; and a forecast of one input without gradients.

    With ``return_usage`` the step takes the codebook's usage too, as training does for its log.
    """

    def __init__(
        self,
        model: SimVP_SVQ_Model,
        in_shape: Sequence[int],
        batch_size: int,
        device: str = "cpu",
        return_usage: bool = False,
    ):
        self.options = {"return_usage": True} if return_usage else {}
        if return_usage:
            model.quantizer.usage_tokens = USAGE_TOKENS
        generator = torch.Generator().manual_seed(1)
        self.model = model.to(device)
        self.x, self.y = (torch.randn(batch_size, *in_shape, generator=generator).to(device) for _ in range(2))
        self.optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-4)
        self.loss = nn.L1Loss()

    def __call__(self):
        self.model.train()
        self.optimizer.zero_grad()
        prediction, output = self.model(self.x, return_quantizer_output=True, **self.options)
        loss = self.loss(prediction, self.y)
        (loss if output is None else loss + output.aux_loss).backward()
        self.optimizer.step()

    @torch.inference_mode()
    def forecast(self):
        self.model.eval()
        self.model(self.x[:1])


@register_benchmark("step", "a whole training step with SVQ against one without a quantizer")
def step_table(
    backbone: Backbone = WEATHER_S,
    batch_size: int = 4,
    codebook_size: int = 10_000,
    hidden_dim: int = 128,
    rounds: int = 11,
    *,
    device: str = "cpu",
    progress: Progress = None,
) -> Table:
    """A whole training step of SimVP with SVQ, folded, against the same SimVP without a quantizer."""
    backbone = {**WEATHER_S, **backbone}
    torch.manual_seed(0)
    svq = {"quantizer": "svq", "quantizer_kwargs": {"codebook_size": codebook_size, "hidden_dim": hidden_dim}}
    steps = {
        name: TrainingStep(
            SimVP_SVQ_Model(**backbone, drop_path=DROP_PATH, **choice), backbone["in_shape"], batch_size, device, usage
        )
        for name, choice, usage in (
            ("SimVP", {"quant_position": "none"}, False),
            ("SimVP+SVQ, folded", svq, False),
            ("the same, taking usage", svq, True),
        )
    }
    seconds = time_in_turn(steps, rounds, device, progress=progress)
    without, plain, with_usage = seconds.values()
    rows = []
    for name, values in seconds.items():
        ratio = paired_ratio(values, without)
        rows.append(
            {
                "model": name,
                "seconds": statistics.median(values),
                "ratio": ratio.median,
                "low": ratio.low,
                "high": ratio.high,
                "all_seconds": values,
            }
        )
    percent = [100 / USAGE_INTERVAL * (value - 1) for value in paired_ratio(with_usage, plain)[:3]]
    columns = {
        "model": "Model",
        "seconds": ("Step", milliseconds),
        "ratio": ("Ratio", ".3f"),
        "low": ("from", ".3f"),
        "high": ("to", ".3f"),
    }
    title = f"Training step: SimVP({backbone['model_type']}) on {size_of(backbone)}, batch {batch_size}"
    return Table(
        columns,
        rows,
        title,
        [
            f"Forward, loss, backward and Adam; {rounds} rounds in turn.",
            "Ratio: median of the paired ratios to SimVP without a quantizer, with a 95 % interval.",
            f"SVQ: {codebook_size:,} codes, width {hidden_dim}.",
            f"Usage: perplexity and kurtosis of {USAGE_TOKENS:,} tokens. Logged every {USAGE_INTERVAL} steps, the default, "
            "it costs {:.2f} % of a step ({:.2f} to {:.2f}).".format(*percent),
        ],
    )


def size_of(backbone: Backbone) -> str:
    return " x ".join(map(str, backbone["in_shape"]))
