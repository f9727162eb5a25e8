"""SimVP: encoder, translator, decoder (Gao et al. 2022, arXiv:2206.05099; Tan et al. 2022, arXiv:2211.12509)."""

from collections.abc import Iterable, Sequence
from numbers import Integral

import torch
from torch import nn

from ..modules import Decoder, Encoder, build_translator


class SimVP_Model(nn.Module):
    """Forecasts as many frames as it is given: (B, T, C, H, W) -> (B, T, C, H, W).

    ``enc`` and ``dec`` see each frame alone, ``hid`` mixes time:

        enc(x)            (B*T, C, H, W) -> latent (B*T, hid_S, H/f, W/f), skip (B*T, hid_S, H, W)
        hid(z)            (B, T, hid_S, H/f, W/f) -> same shape
        dec(hid, skip)    (B*T, hid_S, H/f, W/f), (B*T, hid_S, H, W) -> (B*T, C, H, W)

    State-dict names, shapes and numbers are those of OpenSTL's class of this name.

    Args:
        in_shape: (T, C, H, W) of the input. T and C are fixed; H and W may differ at call time where the translator
            allows it (all but ``mlp``; ``swin`` keeps its window).
        hid_S: channels of the encoder and decoder, even.
        hid_T: channels of the translator.
        N_S: stages of the encoder and of the decoder; every second one halves the grid, so f = 2 ** (N_S // 2).
            An odd number counts as the even one below.
        N_T: blocks of the translator (of each of its two arms for ``incepu``), at least 2.
        model_type: the translator, any case; see ``list_translators()``. None stands for gSTA.
        mlp_ratio: width of the blocks' feed-forward over their channels (not in ``incepu`` and ``convmixer``).
        drop: dropout in feed-forward and attention projection (not in ``incepu``, ``convmixer``, ``convnext``,
            ``hornet``, which have none).
        drop_path: stochastic-depth rate of the last block, see ``MetaTranslator`` (not in ``incepu``, ``convmixer``).
        spatio_kernel_enc, spatio_kernel_dec: kernel sizes of encoder and decoder, odd.
        act_inplace: activations of encoder and decoder overwrite their input; the numbers are the same.

    Raises:
        ValueError: a size that does not fit, with the nearest that does; an unknown ``model_type``, with the nearest.
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
    ):
        super().__init__()
        sizes = tuple(in_shape) if isinstance(in_shape, Iterable) else ()
        if len(sizes) != 4 or not all(isinstance(n, Integral) and n > 0 for n in sizes):
            raise ValueError(f"in_shape must be four positive integers (T, C, H, W), got {in_shape!r}")
        if hid_S < 2 or hid_S % 2:
            raise ValueError(f"hid_S={hid_S}: the encoder's GroupNorm needs an even number of channels")
        if hid_T < 2:
            raise ValueError(f"hid_T={hid_T}: the translator needs at least 2 channels")
        if N_S < 2:
            raise ValueError(f"N_S={N_S}: encoder and decoder need at least 2 stages")
        for name, kernel in {"spatio_kernel_enc": spatio_kernel_enc, "spatio_kernel_dec": spatio_kernel_dec}.items():
            if kernel < 1 or kernel % 2 == 0:
                raise ValueError(f"{name}={kernel}: take an odd positive size, an even kernel shifts the grid")

        T, C, H, W = sizes
        halvings = N_S // 2
        self.frames, self.channels, self.downsampling = T, C, 2**halvings
        self._check_grid(H, W)
        self.enc = Encoder(C, hid_S, halvings, spatio_kernel_enc, act_inplace=act_inplace)
        self.dec = Decoder(hid_S, C, halvings, spatio_kernel_dec, act_inplace=act_inplace)
        self.hid = build_translator(
            "gsta" if model_type is None else model_type,
            T * hid_S,
            hid_T,
            N_T,
            grid=(H // self.downsampling, W // self.downsampling),
            mlp_ratio=mlp_ratio,
            drop=drop,
            drop_path=drop_path,
        )

    def _check_grid(self, H: int, W: int) -> None:
        f = self.downsampling
        for axis, size in {"height": H, "width": W}.items():
            if size % f:
                below = size - size % f
                nearest = f"{below} and {below + f}" if below else f"{f}"
                raise ValueError(
                    f"{axis} {size} cannot be divided by the downsampling of {f} = 2 ** (N_S // 2); "
                    f"nearest that can: {nearest}"
                )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.ndim != 5 or tuple(x.shape[1:3]) != (self.frames, self.channels):
            raise ValueError(
                f"expected input of shape (B, {self.frames}, {self.channels}, H, W), got {tuple(x.shape)}: "
                "the model was built for that number of frames and channels"
            )
        self._check_grid(*x.shape[3:])
        B, T = x.shape[:2]
        latent, skip = self.enc(x.flatten(0, 1))  # (B*T, hid_S, H/f, W/f), (B*T, hid_S, H, W)
        hid = self.hid(latent.unflatten(0, (B, T)))  # (B, T, hid_S, H/f, W/f)
        return self.dec(hid.flatten(0, 1), skip).unflatten(0, (B, T))
