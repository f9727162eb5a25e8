"""How fast a run is on the device at hand: what is on by default, and what is switched on."""

import time
import warnings
from argparse import Namespace
from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback
from torch import nn

from ..acceleration import accelerate, checkpoint_activations, keep_freed_memory


def prepare(method: LightningModule, accelerator: str, args: Namespace) -> None:
    """Makes ``method`` as fast as ``args`` allow, in place, before its optimizer exists.

    By default: channels-last maps and the layers of :mod:`openstl_svq.acceleration` (not on MPS), fused optimizers, on
    a CPU memory that is kept instead of returned, and on a GPU TF32 products and cuDNN's choice of algorithms by
    measurement. ``plain`` leaves all of it out. ``compile``
    and ``checkpoint_activations`` are on where they are given.
    """
    network = _network(method)
    if not args.plain and accelerator != "mps":
        accelerate(network)
        method.fused_optimizer = True
    if not args.plain and accelerator == "cpu":
        keep_freed_memory()
    if not args.plain and accelerator == "gpu":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = not args.deterministic
    if args.checkpoint_activations and not checkpoint_activations(network):
        raise ValueError(
            f"--checkpoint_activations: {args.method} has no sequence of blocks to checkpoint; leave it out."
        )
    if args.compile:
        compile_network(network, accelerator)


def _network(method: LightningModule) -> nn.Module:
    model = getattr(method, "model", None)
    return model if isinstance(model, nn.Module) else method


def compile_network(network: nn.Module, accelerator: str) -> bool:
    """``network.compile()``, or a warning where nothing can be compiled. Returns whether it will be.

    Stochastic depth draws as it does uncompiled. Each shape of batch is compiled for itself (training and validation,
    and the last batch where it is smaller), and no more than that: what changes more often runs uncompiled.
    """
    problem = compiler_problem("cuda" if accelerator == "gpu" else accelerator)
    if problem:
        warnings.warn(f"--compile: {problem}; the run goes on uncompiled.", stacklevel=2)
        return False
    torch._inductor.config.fallback_random = True
    network.compile(dynamic=False)
    return True


def compiler_problem(device: str) -> str | None:
    """Why ``torch.compile`` does not work on ``device``; None if it does, found out by compiling one addition."""
    try:
        torch.compile(lambda x: x + 1)(torch.zeros(2, device=device))
    except Exception as error:  # a missing compiler, headers, Triton, a Python that is too new: all of its own kind
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return f"torch.compile does not work here ({type(error).__name__}: {lines[0] if lines else ''})"
    finally:
        torch.compiler.reset()
    return None


class CompileReport(Callback):
    """Says after the first epoch what compiling has cost.

    Args:
        say: prints a line.
    """

    def __init__(self, say: Callable[[str], None]):
        self.say = say
        self._first: float | None = None
        self._started = 0.0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._started = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._first is None:
            self._first = time.monotonic() - self._started

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._first is not None:
            graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
            self.say(f"compiled {graphs} graphs; the first step took {self._first:.0f} s")
            trainer.callbacks.remove(self)
