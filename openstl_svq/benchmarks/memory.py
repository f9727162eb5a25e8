"""Memory of a training step, computed without a device, for every dataset's backbone."""

import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from ..acceleration import checkpoint_activations
from ..config_file import load_config
from ..naming import choose
from . import Progress, register_benchmark
from .backbones import BACKBONES, CONFIGS, model_of
from .tables import Table, mebibytes


class HeldMemory(TorchDispatchMode):
    """Adds up the storages that live while it is on; on the ``meta`` device this takes neither memory nor time.

    Attributes:
        peak: bytes of all storages made since it was entered, at the worst moment.
    """

    def __init__(self):
        super().__init__()
        self.held = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        outputs = func(*args, **(kwargs or {}))
        for tensor in tree_iter(outputs):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return outputs

    def _count(self, storage) -> None:
        key = storage._cdata
        if key in self._known:
            return
        size = storage.nbytes()
        self._known.add(key)
        self.held += size
        self.peak = max(self.peak, self.held)
        weakref.finalize(storage, self._freed, key, size)

    def _freed(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.held -= size


def step_memory(model: nn.Module, in_shape: Sequence[int], batch_size: int) -> int:
    """Bytes that forward, backward and Adam's state of ``model`` take at their worst moment, its parameters included.

    ``model`` lies on the ``meta`` device. Workspaces of convolution algorithms and the allocator's gaps come on top.
    """
    parameters = list(model.parameters())
    fixed = sum(t.nbytes for t in (*parameters, *model.buffers()))
    fixed += sum(3 * p.nbytes for p in parameters if p.requires_grad)  # the gradient, and Adam's two moments
    x, y = torch.empty(2, batch_size, *in_shape, device="meta")
    model.train()
    with HeldMemory() as memory:
        prediction, output = model(x, return_quantizer_output=True)
        loss = nn.functional.l1_loss(prediction, y)
        (loss if output is None else loss + output.aux_loss).backward()
        del prediction, output, loss
    gradients = sum(p.nbytes for p in parameters if p.grad is not None)  # made inside, and counted as fixed
    return fixed + x.nbytes + y.nbytes + memory.peak - gradients


@register_benchmark(
    "memory", "memory of a training step, computed: SimVP+SVQ, with and without checkpointed activations"
)
def memory_table(
    dataname: Sequence[str] = (),
    batch_size: int = 16,
    card: float = 24.0,
    configs: Path = CONFIGS,
    *,
    progress: Progress = None,
) -> Table:
    """Peak memory in float32, from the shapes of all tensors of forward and backward, on no device.

    Args:
        dataname: datasets; all by default.
        card: GiB of the GPU that it is to fit.
        configs: the folder ``configs`` of the project.
    """
    for name in dataname:
        choose("dataset of the memory table", name, dict.fromkeys(backbone.dataname for backbone in BACKBONES))
    rows = []
    for backbone in BACKBONES:
        if dataname and backbone.dataname not in dataname:
            continue
        config = load_config(configs / backbone.folder / f"SimVP_SVQ_{backbone.translator}.py")
        row: dict[str, Any] = {"dataset": backbone.label, "translator": backbone.translator}
        for key, form, checkpointed in (
            ("reference", "reference", False),
            ("folded", "folded", False),
            ("checkpointed", "folded", True),
        ):
            if progress:
                progress(f"{backbone.label}, {backbone.translator}, {key}")
            with torch.device("meta"):
                model = model_of(config, backbone.in_shape, form)
            if checkpointed:
                checkpoint_activations(model)
            row[key] = step_memory(model, backbone.in_shape, batch_size)
        row["fits"] = next((key for key in ("folded", "checkpointed") if row[key] <= card * 2**30), "no")
        rows.append(row)
    columns = {
        "dataset": "Dataset",
        "translator": "Translator",
        "reference": ("Reference form", mebibytes),
        "folded": ("Folded", mebibytes),
        "checkpointed": ("Folded, --checkpoint_activations", mebibytes),
        "fits": f"fits {card:g} GiB",
    }
    return Table(
        columns,
        rows,
        f"Memory of a training step, SimVP+SVQ, batch {batch_size}, float32 (computed)",
        [
            "Parameters, gradients, Adam's moments, and all tensors of forward and backward at the worst moment.",
            "Workspaces of convolutions and gaps of the allocator come on top: allow a tenth.",
        ],
    )
