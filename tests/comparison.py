"""One comparison for the whole suite: one tolerance table by dtype, and the worst entry in the message."""

import numpy as np
import torch

# (relative to the largest expected magnitude, absolute). The absolute part only matters for tensors of zeros.
TOLERANCES = {
    torch.float64: (1e-10, 1e-12),
    torch.float32: (1e-5, 1e-7),
    torch.float16: (2e-3, 1e-4),
    torch.bfloat16: (2e-2, 1e-3),
}


def assert_close(actual, expected, *, rtol=None, atol=None, what="values"):
    """Fails unless ``max |actual - expected| <= rtol * max |expected| + atol``; names the worst entry.

    Tensors and arrays of any shape. Tolerances default to the table entry of the coarser of the two dtypes.
    """
    actual, expected = (
        torch.as_tensor(np.asarray(v)) if not torch.is_tensor(v) else v.detach() for v in (actual, expected)
    )
    assert actual.shape == expected.shape, f"{what}: shape {tuple(actual.shape)}, expected {tuple(expected.shape)}"
    floating = [t.dtype if t.dtype in TOLERANCES else torch.float64 for t in (actual, expected)]
    default_rtol, default_atol = max(TOLERANCES[d] for d in floating)
    rtol = default_rtol if rtol is None else rtol
    atol = default_atol if atol is None else atol
    if not expected.numel():
        return
    a, e = actual.double(), expected.double()
    assert torch.isfinite(a).all() or not torch.isfinite(e).all(), f"{what}: not finite"
    error = (a - e).abs()
    bound = rtol * e.abs().max() + atol
    worst = int(error.argmax())
    assert error.max() <= bound, (
        f"{what}: largest difference {error.max():.3e} exceeds {bound:.3e} "
        f"at {np.unravel_index(worst, tuple(e.shape))}: {a.flatten()[worst]:.8g}, expected {e.flatten()[worst]:.8g}"
    )
