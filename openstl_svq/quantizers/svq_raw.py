"""SVQ-raw: sparse regression by an unfolded iteration (Table 4, Figure 2), which SVQ replaces by an MLP."""

import torch
from torch import Tensor, nn

from .base import Quantizer, QuantizerOutput, at_least_float32, from_tokens, full_precision, to_tokens
from .checks import check_bool, check_number, check_positive
from .memory import default_device, require_memory
from .registry import register_quantizer
from .sparse_coding import objective, shrink, step_size
from .svq import CODEBOOK_INITS, check_init
from .usage import weight_usage


@register_quantizer("svq_raw", "sparse coding by LISTA with an N x N matrix, as in SC-VAE (the paper's SVQ-raw)")
class SVQRaw(Quantizer):
    r"""Sparse coding by learned iterative shrinkage-thresholding (Gregor & LeCun 2010; SC-VAE, Xiao et al. 2023).

    .. math::
        z_{k+1} = shrink(x W_e^T + z_k S^T; \theta), \quad z_0 = 0, \quad q = z_K M

    with learned W_e (N, C'), S (N, N) and thresholds (N), initialised such that z_k are the iterates of ISTA for
    Eq. (1): W_e = M / L, S = I - M M^T / L, theta = lambda / L, L = ``||M||_2^2``.

    The auxiliary loss is Eq. (1) itself, per entry of the latent: ``|x - q|^2 / 2 + lambda |z|_1``, mean over tokens, over
    C'. Cost and memory grow with iterations x tokens x N, the time with N^2.

    Args:
        dim: C', channels of the latent.
        codebook_size: N.
        iterations: K. SC-VAE's released configuration has 30.
        l1_weight: lambda of Eq. (1).
        positive: non-negative weights, as Eq. (1) is written; by default they are signed, as SC-VAE's and SVQ's are.
        learn_codebook: whether M is trained.
        init: of the codebook, a key of ``CODEBOOK_INITS``.
        aux_loss_weight: of the auxiliary loss.

    State dict: ``encode`` (N, C'), ``recurrence`` (N, N), ``threshold`` (N), ``codebook`` (N, C').
    """

    def __init__(
        self,
        dim: int,
        codebook_size: int = 512,
        iterations: int = 5,
        l1_weight: float = 0.1,
        positive: bool = False,
        learn_codebook: bool = True,
        init: str = "kaiming_uniform",
        aux_loss_weight: float = 1.0,
    ):
        super().__init__(dim)
        self.codebook_size = check_positive("codebook_size", codebook_size)
        self.iterations = check_positive("iterations", iterations)
        self.l1_weight = check_number("l1_weight", l1_weight)
        self.positive = check_bool("positive", positive)
        self.aux_loss_weight = check_number("aux_loss_weight", aux_loss_weight)
        self.init = check_init(init, self.codebook_size)
        require_memory(
            (self.codebook_size + 2 * self.dim + 1) * torch.finfo(torch.get_default_dtype()).bits // 8,
            self.codebook_size,
            default_device(),
            "the N x N matrix of svq_raw",
            "codebook_size",
            "Use a smaller codebook, or the quantizer svq.",
        )

        self.codebook = nn.Parameter(torch.empty(self.codebook_size, self.dim))
        CODEBOOK_INITS[init](self.codebook)
        with torch.no_grad():
            step = step_size(self.codebook)
            self.encode = nn.Parameter(step * self.codebook)
            self.recurrence = nn.Parameter(torch.eye(self.codebook_size) - step * self.codebook @ self.codebook.t())
            self.threshold = nn.Parameter((step * self.l1_weight).repeat(self.codebook_size))
        self.codebook.requires_grad_(check_bool("learn_codebook", learn_codebook))

    def extra_repr(self) -> str:
        return (
            f"dim={self.dim}, codebook_size={self.codebook_size}, iterations={self.iterations}, "
            f"l1_weight={self.l1_weight:g}, positive={self.positive}, init={self.init!r}, "
            f"learn_codebook={self.codebook.requires_grad}"
        )

    def quantize(self, z: Tensor, *, return_codes: bool, return_usage: bool) -> QuantizerOutput:
        tokens = to_tokens(z)  # (T, C')
        self.check_memory(len(tokens))
        weights = self._weights(tokens)  # (T, N)
        quantized = weights @ self.codebook
        with full_precision(z.device):
            dtype = at_least_float32(z.dtype)
            loss = objective(tokens.to(dtype), weights.to(dtype), self.codebook.to(dtype), self.l1_weight)
            loss = self.aux_loss_weight / self.dim * loss.sum() / max(len(tokens), 1)
        return QuantizerOutput(
            from_tokens(quantized, z),
            loss,
            weights=weights.view(z.shape[0], *z.shape[2:], self.codebook_size) if return_codes else None,
            usage=self._usage(weights) if return_usage else None,
        )

    def _weights(self, tokens: Tensor) -> Tensor:
        """(T, C') -> (T, N)."""
        threshold = self.threshold.clamp_min(0)
        drive = tokens @ self.encode.t()
        weights = shrink(drive, threshold, self.positive)
        for _ in range(self.iterations - 1):
            weights = shrink(drive + weights @ self.recurrence.t(), threshold, self.positive)
        return weights

    def _usage(self, weights: Tensor) -> dict[str, Tensor]:
        """As SVQ's, and ``density``, the share of weights that are not zero."""
        weights = weights.detach()
        usage = weight_usage(lambda: [weights]) | {"density": (weights != 0).float().mean()}
        return {name: value.to(weights.device) for name, value in usage.items()}

    def check_memory(self, tokens: int) -> None:
        copies = 2 * self.iterations if torch.is_grad_enabled() else 3  # per iteration, backward needs two tensors
        require_memory(
            copies * tokens * self.codebook.element_size(),
            self.codebook_size,
            self.codebook.device,
            f"svq_raw with {self.iterations} iterations over {tokens} tokens",
            "codebook_size",
            "Use a smaller codebook or batch, fewer iterations, or the quantizer svq.",
        )
