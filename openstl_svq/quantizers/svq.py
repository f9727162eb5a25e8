"""SVQ: vector quantization by a learned sparse regression onto a large codebook (the paper's Section 3)."""

import copy
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .base import Quantizer, QuantizerOutput, at_least_float32, from_tokens, full_precision, to_tokens, zero_loss
from .checks import check_above_0, check_bool, check_choice, check_positive
from .memory import default_device, require_memory
from .options import OutputForm
from .registry import register_quantizer
from .usage import weight_usage

# Each fills a codebook of shape (N, C').
CODEBOOK_INITS = {
    "kaiming_uniform": nn.init.kaiming_uniform_,
    "sparse": lambda codebook: nn.init.sparse_(codebook, sparsity=0.9),
    "trunc_normal": nn.init.trunc_normal_,
    "orthogonal": nn.init.orthogonal_,
    "normal": nn.init.normal_,
}
# The standard deviation of its entries, from N and C'. Not measured: a resumed run holds trained entries.
_DEVIATIONS = {
    "kaiming_uniform": lambda codes, dim: math.sqrt(2 / dim),
    "sparse": lambda codes, dim: 0.01 * math.sqrt(0.1),
    "trunc_normal": lambda codes, dim: 0.8796,  # of a normal distribution cut at 2
    "orthogonal": lambda codes, dim: 1 / math.sqrt(max(codes, dim)),
    "normal": lambda codes, dim: 1.0,
}
FORMS = ("folded", "reference")
_LEAST_SPARSE = 10  # codes; with fewer, nine tenths rounded up are all of them


def check_init(init: str, codebook_size: int) -> str:
    check_choice("init", init, CODEBOOK_INITS)
    if init == "sparse" and codebook_size < _LEAST_SPARSE:
        raise ValueError(
            f"init 'sparse' makes nine tenths of a codebook zero, all of it with {codebook_size} codes; "
            f"the smallest valid codebook_size is {_LEAST_SPARSE}"
        )
    return init


_CHUNK_ENTRIES = 2**22  # tokens x codes held at a time where weights are streamed: 16 MiB in float32


@register_quantizer("svq", "sparse regression by a two-layer MLP onto a learnable or frozen codebook (the paper's SVQ)")
class SVQ(Quantizer):
    r"""Sparse regression-based vector quantization.

    A token :math:`x \in R^{C'}` becomes regression weights and then a combination of the codes
    :math:`M \in R^{N \times C'}`:

    .. math::
        h = ReLU(x W_1^T + b_1), \quad w = h W_2^T + b_2, \quad q = w M

    As nothing non-linear stands between :math:`W_2` and :math:`M`, :math:`q = h (W_2^T M) + b_2 M` exactly. The
    *folded* form computes that: the same function of the same parameters, with the same gradients, but one product of
    size N per step where the *reference* form has one per token and holds tokens x N weights.

    With ``output_relu`` the weights are :math:`ReLU(w)`, which does not fold; there the folded form streams over chunks
    of tokens and computes each chunk's weights again in the backward pass. So its memory does not depend on
    tokens x N either.

    Initialisation and the order of random draws are those of the authors' released code: linear layers as PyTorch's,
    then the codebook; and the hidden width is at most N.

    Under autocast the products over tokens run in the lower precision, :math:`W_2^T M` and :math:`b_2 M` are formed in
    float32, and `quantized` has the dtype of `z`.

    Args:
        dim: C', channels of the latent.
        codebook_size: N.
        hidden_dim: d; None for the one-layer variant w = x W^T + b.
        learn_codebook: whether the codebook is trained. learn_projection: whether the MLP is.
        init: of the codebook, a key of ``CODEBOOK_INITS``.
        output_relu: the post-ReLU variant of Table 6.
        form: "folded" or "reference". State dicts are the same.
        norm, residual: of the output, see `OutputForm`; the paper has neither.
        init_scale: factor of the codebook's initial values, a number above 0 or "1/N".

    Attributes:
        hidden_dim: the effective width, ``min(hidden_dim, codebook_size)``.

    Raises:
        ValueError: a setting that is not valid, or a codebook that does not fit in memory.

    State dict: ``proj_in.weight`` (d, C'), ``proj_in.bias`` (d), ``proj_out.weight`` (N, d), ``proj_out.bias`` (N),
    ``codebook`` (N, C'); without ``proj_in`` in the one-layer variant.

    Example:
        >>> z = torch.randn(24, 32, 16, 32)  # (batch x time, channels, height, width)
        >>> output = SVQ(dim=32, codebook_size=1000)(z, return_usage=True)
        >>> output.quantized.shape
        torch.Size([24, 32, 16, 32])
        >>> sorted(output.usage)
        ['codebook_usage', 'kurtosis', 'perplexity', 'perplexity_theta2', 'perplexity_theta3']
    """

    def __init__(
        self,
        dim: int,
        codebook_size: int = 10_000,
        hidden_dim: int | None = 128,
        learn_codebook: bool = True,
        learn_projection: bool = True,
        init: str = "kaiming_uniform",
        output_relu: bool = False,
        form: str = "folded",
        norm: str | None = None,
        residual: bool = False,
        init_scale: float | str = 1.0,
    ):
        super().__init__(dim)
        self.codebook_size = check_positive("codebook_size", codebook_size)
        self.hidden_dim = (
            hidden_dim if hidden_dim is None else min(check_positive("hidden_dim", hidden_dim), self.codebook_size)
        )
        self.init = check_init(init, self.codebook_size)
        self.output_relu = check_bool("output_relu", output_relu)
        self.form = check_choice("form", form, FORMS)
        features = self.dim if self.hidden_dim is None else self.hidden_dim
        require_memory(
            (self.dim + features + 1) * torch.finfo(torch.get_default_dtype()).bits // 8,
            self.codebook_size,
            default_device(),
            "a codebook with its projection",
            "codebook_size",
            "Use a smaller codebook.",
        )

        self.proj_in = None if self.hidden_dim is None else nn.Linear(self.dim, self.hidden_dim)
        self.proj_out = nn.Linear(features, self.codebook_size)
        self.codebook = nn.Parameter(torch.empty(self.codebook_size, self.dim))
        CODEBOOK_INITS[init](self.codebook)
        self.init_scale = 1 / self.codebook_size if init_scale == "1/N" else check_above_0("init_scale", init_scale)
        if self.init_scale != 1:
            with torch.no_grad():
                self.codebook.mul_(self.init_scale)
        self.output = OutputForm(self.dim, norm, residual)

        self.codebook.requires_grad_(check_bool("learn_codebook", learn_codebook))
        for layer in (self.proj_in, self.proj_out):
            if layer is not None:
                layer.requires_grad_(check_bool("learn_projection", learn_projection))

    def extra_repr(self) -> str:
        return (
            f"dim={self.dim}, codebook_size={self.codebook_size}, hidden_dim={self.hidden_dim}, "
            f"init={self.init!r}, learn_codebook={self.codebook.requires_grad}, output_relu={self.output_relu}, "
            f"form={self.form!r}"
        )

    def quantize(self, z: Tensor, *, return_codes: bool, return_usage: bool) -> QuantizerOutput:
        tokens = to_tokens(z)  # (T, C')
        hidden = self._hidden(tokens)  # (T, d)
        weights = None
        if return_codes or self.form == "reference":
            self._require_weights(tokens.shape[0])
            weights = self._weights(hidden)  # (T, N)
        if weights is not None and self.form == "reference":
            quantized = weights @ self.codebook
        elif self.output_relu:
            quantized = self._stream(hidden)
        else:
            fold, offset = self.fold()
            quantized = F.linear(hidden, fold.to(hidden.dtype), offset.to(hidden.dtype))
        return QuantizerOutput(
            self.output(from_tokens(quantized, z), z),
            zero_loss(z),
            weights=None
            if weights is None or not return_codes
            else weights.view(z.shape[0], *z.shape[2:], self.codebook_size),
            usage=self.usage(z) if return_usage else None,
        )

    def _hidden(self, tokens: Tensor) -> Tensor:
        """(T, C') -> (T, d)."""
        return tokens if self.proj_in is None else self.proj_in(tokens).relu_()

    def _weights(self, hidden: Tensor) -> Tensor:
        """(T, d) -> (T, N)."""
        weights = self.proj_out(hidden)
        return weights.relu_() if self.output_relu else weights

    def _stream(self, hidden: Tensor) -> Tensor:
        """The post-ReLU variant, (T, d) -> (T, C')."""
        parameters = (p.to(hidden.dtype) for p in (self.proj_out.weight, self.proj_out.bias, self.codebook))
        with full_precision(hidden.device):
            return _StreamedRegression.apply(hidden, *parameters, self._chunk_tokens)

    @property
    def _chunk_tokens(self) -> int:
        return max(1, _CHUNK_ENTRIES // self.codebook_size)

    def fold(self) -> tuple[Tensor, Tensor]:
        """W2^T M, transposed to (C', d), and b2 M (C'): sums of N terms, so never in half precision."""
        dtype = at_least_float32(self.codebook.dtype)
        with full_precision(self.codebook.device):
            codebook = self.codebook.to(dtype)
            fold = codebook.t() @ self.proj_out.weight.to(dtype)
            offset = self.proj_out.bias.to(dtype)[None] @ codebook  # a matrix: FLOP counters know no vectors
            return fold, offset[0]

    def codebook_parameters(self) -> list[nn.Parameter]:
        return [p for p in (*self.proj_out.parameters(), self.codebook) if p.requires_grad]

    def width_factor(self, adaptive: bool) -> float:
        r"""The factor of their rate with which the fold moves as a layer of its shape, trained directly, does.

        With an adaptive optimizer every entry moves by about the learning rate lr. A layer (C', d) then moves by lr per
        entry; the fold, as W2 moves by lr sign(M G) and M by lr sign(W2 G^T) for a gradient G of it, by

        .. math:: lr N \sqrt{2 / \pi} (\sigma_M / \sqrt{C'} + \sigma_W / \sqrt{d})

        per entry, :math:`\sigma_M` and :math:`\sigma_W = 1 / \sqrt{3 d}` being the standard deviations at the start. By
        gradient descent a layer moves by lr G and the fold by :math:`lr N (\sigma_M^2 + \sigma_W^2) G`. Of W2 and M,
        one that is frozen has no part in it: W2 moves the fold along M, and M along W2.

        Args:
            adaptive: as Adam and its kin; else gradient descent, with or without momentum.

        Raises:
            ValueError: with ``output_relu``, where there is no fold, or with neither W2 nor M learned.
        """
        self.check_fold("quantizer_lr='width'")
        features = self.proj_out.in_features
        sigma_m = self.init_scale * _DEVIATIONS[self.init](self.codebook_size, self.dim)
        sigma_w = 1 / math.sqrt(3 * features)
        moved_by_w, moved_by_m = self.proj_out.weight.requires_grad, self.codebook.requires_grad
        if not (moved_by_w or moved_by_m):
            raise ValueError("quantizer_lr='width' needs a learned codebook or projection; both are frozen")
        if adaptive:
            rate = moved_by_w * sigma_m / math.sqrt(self.dim) + moved_by_m * sigma_w / math.sqrt(features)
            rate *= math.sqrt(2 / math.pi)
        else:
            rate = moved_by_w * sigma_m**2 + moved_by_m * sigma_w**2
        return 1 / (self.codebook_size * rate)

    def codebook_state(self) -> list[Tensor]:
        """Copies of W2, b2 and M, for `limit_step`."""
        return [p.detach().clone() for p in (*self.proj_out.parameters(), self.codebook)]

    @torch.no_grad()
    def limit_step(self, before: list[Tensor], limit: float) -> None:
        r"""Shortens a step of W2, b2 and M such that the fold changes by at most `limit` times its norm before.

        Steps from `before`, copies of W2, b2 and M, are scaled by the t <= 1 with
        :math:`t (|dW_2^T M + W_2^T dM| + |dW_2^T dM|) \le limit |W_2^T M|` (Frobenius norms).
        """
        parameters = [*self.proj_out.parameters(), self.codebook]
        weight, _, codebook = before
        step_weight, _, step_codebook = steps = [p - old for p, old in zip(parameters, before)]
        linear = (step_weight.t() @ codebook + weight.t() @ step_codebook).norm()
        moved = linear + (step_weight.t() @ step_codebook).norm()
        share = (limit * (weight.t() @ codebook).norm() / moved).clamp(max=1).nan_to_num(1)  # 0 / 0: nothing moved
        for parameter, old, step in zip(parameters, before, steps):
            parameter.copy_(torch.where(share < 1, old + share * step, parameter))

    def check_fold(self, what: str) -> None:
        """Raises ValueError where nothing folds, naming the option `what` that needs it."""
        if self.output_relu:
            raise ValueError(f"{what} needs a fold, and an SVQ with output_relu=True has none; leave one of them out")

    def fuse(self) -> "FusedSVQ":
        """The same function without the codebook, C' -> d -> C', for inference and export.

        Raises:
            ValueError: with ``output_relu``, which cannot be folded.
        """
        return FusedSVQ(self).train(self.training)

    def regression_weights(self, z: Tensor, chunk_tokens: int | None = None) -> Iterator[Tensor]:
        """Yields the weights w of the tokens of `z` (N, C', H, W) or (B, T, C'), as (chunk, codebook_size) without gradients.

        Tokens come in the order (N, H, W); in the parameters' precision, whatever autocast says.

        Args:
            chunk_tokens: tokens per chunk; by default as many as make 4 million entries.
        """
        self.check_latent(z)
        chunk = self._chunk_tokens if chunk_tokens is None else check_positive("chunk_tokens", chunk_tokens)
        return self._iterate_weights(to_tokens(z.detach()), chunk)

    def _iterate_weights(self, tokens: Tensor, chunk_tokens: int) -> Iterator[Tensor]:
        # Contexts are left before every yield: a generator would otherwise spread them to its caller.
        for chunk in tokens.split(chunk_tokens):
            with torch.no_grad(), full_precision(tokens.device):
                weights = self._weights(self._hidden(chunk.to(self.codebook.dtype)))
            yield weights

    def usage(self, z: Tensor) -> dict[str, Tensor]:
        """Perplexity, share of codes in use and kurtosis of the weights of `z`; see `WeightStatistics.compute`.

        Streams over the tokens, twice. ``usage_tokens`` limits how many.
        """
        tokens = to_tokens(z.detach())
        if self.usage_tokens is not None:
            tokens = tokens[:: _even_stride(len(tokens), self.usage_tokens)]
        usage = weight_usage(lambda: self._iterate_weights(tokens, self._chunk_tokens))
        return {name: value.to(z.device) for name, value in usage.items()}

    def check_memory(self, tokens: int) -> None:
        if self.form == "reference":
            self._require_weights(tokens)

    def _require_weights(self, tokens: int) -> None:
        copies = 2 if torch.is_grad_enabled() else 1  # the weights, and their gradient
        require_memory(
            copies * tokens * self.codebook.element_size(),
            self.codebook_size,
            self.codebook.device,
            f"building the weights of {tokens} tokens",
            "codebook_size",
            'form="folded" needs none of it, regression_weights() yields them in chunks.',
        )


class _StreamedRegression(torch.autograd.Function):
    """q = ReLU(h W^T + b) M, a chunk of tokens at a time; the backward pass computes each chunk's weights again.

    All chunks share their buffers: a fresh one per chunk would leave the allocator with as much memory as the whole
    weight matrix. Sums over chunks are in float32 at least.
    """

    @staticmethod
    def forward(hidden, weight, bias, codebook, chunk):
        quantized = hidden.new_empty(len(hidden), codebook.shape[1])  # (T, C')
        buffer = hidden.new_empty(min(chunk, len(hidden)), len(codebook))
        for h, q in zip(hidden.split(chunk), quantized.split(chunk)):
            w = torch.addmm(bias, h, weight.t(), out=buffer[: len(h)]).relu_()  # (chunk, N)
            torch.mm(w, codebook, out=q)
        return quantized

    @staticmethod
    def setup_context(ctx, inputs, output):
        *tensors, ctx.chunk = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_quantized):
        hidden, weight, bias, codebook = ctx.saved_tensors
        need_hidden, need_weight, need_bias, need_codebook, _ = ctx.needs_input_grad
        grad_hidden = torch.empty_like(hidden)
        grad_weight, grad_bias, grad_codebook = (
            torch.zeros_like(t, dtype=at_least_float32(t.dtype)) for t in (weight, bias, codebook)
        )
        buffers = hidden.new_empty(2, min(ctx.chunk, len(hidden)), len(codebook))
        with full_precision(hidden.device):
            for h, g, grad_h in zip(*(t.split(ctx.chunk) for t in (hidden, grad_quantized, grad_hidden))):
                w, grad_w = buffers[:, : len(h)]  # (chunk, N) each
                torch.addmm(bias, h, weight.t(), out=w).relu_()
                if need_codebook:
                    grad_codebook += w.t() @ g
                torch.mm(g, codebook.t(), out=grad_w)
                grad_w.mul_(w.sign_())  # the derivative of the ReLU that made w
                if need_weight:
                    grad_weight += grad_w.t() @ h
                if need_bias:
                    grad_bias += grad_w.sum(0)
                if need_hidden:
                    torch.mm(grad_w, weight, out=grad_h)
        return (
            grad_hidden if need_hidden else None,
            grad_weight.to(weight.dtype),
            grad_bias.to(bias.dtype),
            grad_codebook.to(codebook.dtype),
            None,
        )


def _even_stride(tokens: int, limit: int) -> int:
    """A stride that keeps at most `limit` of `tokens`, prime to their number: no row or column is always skipped."""
    stride = -(-tokens // check_positive("usage_tokens", limit))
    while stride > 1 and math.gcd(stride, tokens) > 1:
        stride += 1
    return max(stride, 1)


class FusedSVQ(Quantizer):
    """SVQ's function without its codebook: a two-layer MLP C' -> d -> C' with ``proj_out = (W2^T M, b2 M)``.

    Args:
        svq: whose parameters are copied.
    """

    def __init__(self, svq: SVQ):
        if svq.output_relu:
            raise ValueError(
                "an SVQ with output_relu=True cannot be folded: its ReLU stands between the weights and "
                "the codebook; keep the SVQ itself"
            )
        super().__init__(svq.dim)
        self.hidden_dim = svq.hidden_dim
        with torch.no_grad():
            weight, bias = svq.fold()
        dtype = svq.codebook.dtype
        self.proj_in = copy.deepcopy(svq.proj_in)
        self.proj_out = nn.utils.skip_init(nn.Linear, *weight.t().shape)  # no random draws
        self.proj_out.weight = nn.Parameter(weight.to(dtype))
        self.proj_out.bias = nn.Parameter(bias.to(dtype))
        self.output = copy.deepcopy(svq.output)

    def fold(self) -> tuple[Tensor, Tensor]:
        """Its own output layer, (C', d) and (C')."""
        return self.proj_out.weight, self.proj_out.bias

    def quantize(self, z: Tensor, *, return_codes: bool, return_usage: bool) -> QuantizerOutput:
        """There are no codes: `weights` and `indices` stay None, `usage` is empty."""
        tokens = to_tokens(z)
        hidden = tokens if self.proj_in is None else self.proj_in(tokens).relu_()
        return QuantizerOutput(
            self.output(from_tokens(self.proj_out(hidden), z), z), zero_loss(z), usage={} if return_usage else None
        )
