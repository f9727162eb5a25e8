"""SimVP with a quantizer before or after its translator (Figures 3 and 6 of the SVQ paper)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..naming import choose
from ..quantizers import Quantizer, QuantizerOutput, build_quantizer

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

    Args:
        in_shape: ``(T, C, H, W)`` of the input.
        hid_S, hid_T, N_S, N_T, model_type, mlp_ratio, drop, drop_path, spatio_kernel_enc, spatio_kernel_dec, act_inplace:
            as in the host's ``SimVP_Model``.
        quantizer: a name from :func:`~openstl_svq.quantizers.list_quantizers`.
        quantizer_kwargs: its arguments; the width is ``hid_S``.
        quant_position: ``"before"`` or ``"after"`` the translator, or ``"none"``: SimVP as it is, no quantizer built.

    Raises:
        ValueError: an unknown position, quantizer, translator, or sizes that do not fit.
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        hid_S: int = 16,
        hid_T: int = 256,
        N_S: int = 4,
        N_T: int = 4,
        model_type: str | None = "gSTA",
        mlp_ratio: float = 8.0,
        drop: float = 0.0,
        drop_path: float = 0.0,
        spatio_kernel_enc: int = 3,
        spatio_kernel_dec: int = 3,
        act_inplace: bool = True,
        *,
        quantizer: str = "svq",
        quantizer_kwargs: Mapping[str, Any] | None = None,
        quant_position: str = "before",
    ):
        super().__init__(
            in_shape,
            hid_S=hid_S,
            hid_T=hid_T,
            N_S=N_S,
            N_T=N_T,
            model_type=model_type,
            mlp_ratio=mlp_ratio,
            drop=drop,
            drop_path=drop_path,
            spatio_kernel_enc=spatio_kernel_enc,
            spatio_kernel_dec=spatio_kernel_dec,
            act_inplace=act_inplace,
        )
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
        latent, skip = self.enc(x_raw.flatten(0, 1))  # (B*T, C', H', W')
        output: QuantizerOutput | None = None
        if self.quantizer is not None and self.quant_position == "before":
            output = self.quantizer(latent, **quantizer_options)
            latent = output.quantized
        hidden = self.hid(latent.unflatten(0, x_raw.shape[:2])).flatten(0, 1)  # (B*T, C', H', W')
        if self.quantizer is not None and self.quant_position == "after":
            output = self.quantizer(hidden, **quantizer_options)
            hidden = output.quantized
        prediction = self.dec(hidden, skip).unflatten(0, x_raw.shape[:2])
        return (prediction, output) if return_quantizer_output else prediction
