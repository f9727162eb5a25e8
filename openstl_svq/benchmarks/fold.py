"""How SVQ's fold moves under Adam, and what a translator's blocks add to a latent of some size."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..models import SimVP_SVQ_Model
from ..models.dynamics import watch
from ..quantizers import Quantizer, build_quantizer
from . import Progress, register_benchmark
from .tables import Table

_TOKENS = (8, 8, 16)  # frames, height, width of the latent
_ARMS: dict[str, tuple[str, dict, bool]] = {  # label -> quantizer, settings, quantizer_lr = width
    "svq": ("svq", {}, False),
    "svq, width": ("svq", {}, True),
    "svq, width, 1/N": ("svq", {"init_scale": "1/N"}, True),
    "mlp": ("mlp", {}, False),
    "mlp, 1/N": ("mlp", {"init_scale": "1/N"}, False),
}


@register_benchmark("fold", "how far steps of Adam move SVQ's fold, and what becomes of a latent that should pass")
def fold_table(
    codebook_sizes: Sequence[int] = (100, 1000, 10_000),
    dim: int = 16,
    hidden_dim: int = 128,
    lr: float = 5e-3,
    steps: int = 100,
    seeds: int = 3,
    *,
    device: str = "cpu",
    progress: Progress = None,
) -> Table:
    """A quantizer alone is trained with MAE and Adam to give back a standard normal latent; means over seeds.

    The movement is that of the fold's entries in the first step, over the learning rate: 1 for a layer that is trained
    directly. The error of a quantizer that gives back nothing is 0.8.
    """
    rows = []
    for label, (name, settings, width) in _ARMS.items():
        for codes in codebook_sizes:
            if progress is not None:
                progress(f"{label}, {codes} codes")
            found = []
            for seed in range(seeds):
                torch.manual_seed(seed)
                quantizer = build_quantizer(name, dim, codebook_size=codes, hidden_dim=hidden_dim, **settings)
                found.append(_train(quantizer.to(device), width, lr, steps))
            rows.append({"arm": label, "codes": codes} | {k: math.fsum(f[k] for f in found) / seeds for k in found[0]})
    columns = {
        "arm": "quantizer",
        "codes": "codes",
        "movement": ("movement in step 1 / lr", ".3g"),
        "change": ("relative change in step 1", ".2g"),
        "std_first": ("deviation of q, step 0", ".3g"),
        "std_last": (f"after {steps} steps", ".3g"),
        "error_first": ("mean absolute error, step 0", ".3g"),
        "error_last": (f"after {steps} steps ", ".3g"),
    }
    notes = [
        f"1/N: with init_scale. Means over {seeds} seeds; {dim} channels, {hidden_dim} hidden units, learning rate {lr:g}, constant."
    ]
    return Table(columns, rows, notes=notes)


def _train(quantizer: Quantizer, width: bool, lr: float, steps: int) -> dict[str, float]:
    slow = quantizer.codebook_parameters() if width else []
    rest = [p for p in quantizer.parameters() if not any(p is s for s in slow)]
    groups = [{"params": rest}]
    if width:
        groups.append({"params": slow, "lr": lr * quantizer.width_factor(adaptive=True)})
    optimizer = torch.optim.Adam(groups, lr=lr)
    frames, height, grid_width = _TOKENS

    def latent() -> Tensor:
        return torch.randn(frames, rest[0].shape[1], height, grid_width, device=rest[0].device)

    found: dict[str, float] = {}
    for step in range(steps + 1):
        z = latent()
        q = quantizer(z).quantized
        error = (q - z).abs().mean()
        if step in (0, steps):
            end = "first" if step == 0 else "last"
            found |= {f"std_{end}": q.std().item(), f"error_{end}": error.item()}
        if step == steps:
            break
        before = quantizer.fold()[0].detach().clone()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        if step == 0:
            moved = quantizer.fold()[0].detach() - before
            found |= {
                "movement": moved.square().mean().sqrt().item() / lr,
                "change": (moved.norm() / before.norm()).item(),
            }
    return found


@register_benchmark("blocks", "what a translator's blocks add to a latent, by the latent's deviation")
def blocks_table(
    model_type: Sequence[str] = ("gSTA", "mlp", "ConvNeXt", "ViT", "MogaNet"),
    scales: Sequence[float] = (1.0, 10.0, 100.0, 1000.0),
    seeds: int = 3,
    *,
    device: str = "cpu",
    progress: Progress = None,
) -> Table:
    """The share of its output that a block of a fresh translator adds (see `openstl_svq.models.dynamics`), in training
    mode, for normal latents of several standard deviations; means over seeds."""
    rows = []
    for translator in model_type:
        if progress is not None:
            progress(translator)
        row: dict = {"translator": translator} | dict.fromkeys(map(str, scales), 0.0)
        for seed in range(seeds):
            torch.manual_seed(seed)
            model = SimVP_SVQ_Model(
                (4, 1, 32, 32), hid_S=16, hid_T=64, N_S=2, N_T=4, model_type=translator, quant_position="none"
            ).to(device)
            latent = torch.randn(4, 4, 16, 16, 16, device=device)
            for scale in scales:
                with watch(model) as values, torch.no_grad():
                    model.hid(scale * latent)
                row[str(scale)] += values["translator/block_share"].item() / seeds
        rows.append(row)
    columns = {"translator": "translator"} | {str(scale): (f"deviation {scale:g}", ".2g") for scale in scales}
    return Table(columns, rows, notes=[f"Means over {seeds} seeds; hid_S 16, hid_T 64, N_T 4, latents of 4 x 16 x 16."])
