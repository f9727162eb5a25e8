"""Models without their codebooks, for inference."""

from torch import nn


def fold_codebooks(model: nn.Module) -> list[str]:
    """Replaces every quantizer in ``model`` that has a ``fuse()`` by what that returns, in place.

    The function stays the same. Quantizers that cannot be folded (SVQ with ``output_relu``) stay as they are.

    Returns:
        The names of the modules that were folded.
    """
    foldable = [
        name
        for name, module in model.named_modules()
        if name and hasattr(module, "fuse") and not getattr(module, "output_relu", False)
    ]
    for name in foldable:
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, model.get_submodule(name).fuse())
    return foldable
