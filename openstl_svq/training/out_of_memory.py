"""Out of memory: which batch would have fitted, found by trying."""

import traceback
from collections.abc import Sequence

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.utils._pytree import tree_iter

from ..timing import out_of_memory


class StageOfError(Callback):
    """Keeps whether the run was training when it failed, which Lightning forgets."""

    training = False

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.training = bool(trainer.training)


def largest_batch(network: nn.Module, sample: Sequence[Tensor], below: int, training: bool) -> int:
    """The most samples below ``below`` that ``network`` has room for; 0 if not even one.

    Args:
        sample: what the network takes for one sample, on its device.
        training: with gradients, as in a training step; else as in a test.
    """
    network.train(training)
    fitting = 0
    while below - fitting > 1:
        size = (below + fitting) // 2
        if _fits(network, [x.expand(size, *x.shape[1:]).clone() for x in sample], training):
            fitting = size
        else:
            below = size
    return fitting


def _fits(network: nn.Module, inputs: list[Tensor], training: bool) -> bool:
    try:
        with torch.set_grad_enabled(training):
            outputs = [x for x in tree_iter(network(*inputs)) if isinstance(x, Tensor) and x.is_floating_point()]
            if training:
                sum(x.float().sum() for x in outputs).backward()
        return True
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)
        return False
    finally:
        network.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def advice(batch_size: int, fitting: int | None, training: bool, total: int, checkpointed: bool) -> str:
    """What to do about a batch that did not fit.

    Args:
        fitting: of :func:`largest_batch`; ``None`` where it could not be found out.
        total: samples of an optimizer step, in all processes.
        checkpointed: activations are checkpointed already.
    """
    flag = "--batch_size" if training else "--val_batch_size"
    kept = f" --total_batch_size {total} (which keeps the optimizer's steps)" if training else ""
    text = f"a batch of {batch_size} samples in a process does not fit"
    if fitting is None:
        text += f". Take a smaller {flag}{' with' + kept if kept else ''}"
    elif fitting:
        text += f"; the largest that does is {fitting}. Take {flag} {fitting}{kept}"
    else:
        text += ", and one alone does not either. Take a smaller model"
    if training and not checkpointed:
        text += ", or --checkpoint_activations, which needs a fraction of the memory for a third more time"
    return f"{text}."
