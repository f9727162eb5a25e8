"""SimVP with a quantizer before or after its translator (Figures 3 and 6 of the SVQ paper)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..naming import choose, parameters
from ..quantizers import Quantizer, QuantizerOutput, build_quantizer
from ..quantizers.base import autocasts, full_precision

if TYPE_CHECKING:  # the host's names are known when it has been chosen
    from ..host.builtin.models import SimVP_Model
else:
    from ..host import SimVP_Model

QUANT_POSITIONS = ("before", "after", "none")


class SimVP_SVQ_Model(SimVP_Model):
    """Encoder -> [quantizer] -> translator -> [quantizer] -> decoder.

    ::

        z, skip = enc(x)                        # (B*T, hid_S, H', W')
        z = hid(quantizer(z))                   # quant_position="before": Section 3.2
        z = quantizer(hid(z))                   # quant_position="after":  Appendix B.1
        y = dec(z, skip)

    Autocast lowers translator and decoder alone: bfloat16 in encoder and quantizer makes forecasts worse, and saves
    little (``docs/performance.md``).

    Args:
        in_shape: ``(T, C, H, W)`` of the input.
        quantizer: a name from :func:`~openstl_svq.quantizers.list_quantizers`.
        quantizer_kwargs: its arguments; the width is ``hid_S``.
        quant_position: ``"before"`` or ``"after"`` the translator, or ``"none"``: SimVP as it is, no quantizer built.
        hid_S, of_simvp: ``hid_T``, ``N_S``, ``N_T``, ``model_type``, ... as in the host's ``SimVP_Model``.

    Raises:
        ValueError: an unknown argument, position, quantizer, translator, or sizes that do not fit.
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        hid_S: int = 16,
        *,
        quantizer: str = "svq",
        quantizer_kwargs: Mapping[str, Any] | None = None,
        quant_position: str = "before",
        **of_simvp: Any,
    ):
        for name in of_simvp:  # OpenSTL's class takes any name
            choose("argument of SimVP", name, parameters(SimVP_Model))
        super().__init__(in_shape, hid_S, **of_simvp)
        self.in_shape = tuple(in_shape)
        self.quant_position = choose("quant_position", quant_position, QUANT_POSITIONS)
        self.quantizer: Quantizer | None = None
        if self.quant_position != "none":
            self.quantizer = build_quantizer(quantizer, hid_S, **(quantizer_kwargs or {}))

    def forward(self, x_raw: Tensor, return_quantizer_output: bool = False, **quantizer_options: Any) -> Any:  # type: ignore[override]
        """``(B, T, C, H, W)`` -> prediction of the same shape.

        With ``return_quantizer_output=True``: ``(prediction, QuantizerOutput)``, the latter ``None`` without a
        quantizer; ``quantizer_options`` (``return_codes``, ``return_usage``) go to the quantizer.
        """
        if x_raw.ndim != 5 or tuple(x_raw.shape[1:3]) != self.in_shape[:2]:
            raise ValueError(
                f"the model was built for input (B, T, C, H, W) with (T, C) = {self.in_shape[:2]}, "
                f"got {tuple(x_raw.shape)}."
            )
        output: QuantizerOutput | None = None
        x = self._as_parameters(x_raw.flatten(0, 1))
        with full_precision(x_raw.device):
            latent, skip = self.enc(x)  # (B*T, C', H', W')
            if self.quantizer is not None and self.quant_position == "before":
                output = self.quantizer(latent, **quantizer_options)
                latent = output.quantized
        hidden = self.hid(latent.unflatten(0, x_raw.shape[:2])).flatten(0, 1)  # (B*T, C', H', W')
        if self.quantizer is not None and self.quant_position == "after":
            hidden = self._as_parameters(hidden)
            with full_precision(x_raw.device):
                output = self.quantizer(hidden, **quantizer_options)
            hidden = output.quantized
        prediction = self.dec(hidden, skip).unflatten(0, x_raw.shape[:2])
        return (prediction, output) if return_quantizer_output else prediction

    def _as_parameters(self, values: Tensor) -> Tensor:
        """``values`` in the dtype of the parameters where autocast may have lowered them, as a forecast that is fed back."""
        return values.to(next(self.parameters()).dtype) if autocasts(values.device) else values
