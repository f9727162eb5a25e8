import torch
from torch import Tensor

from openstl_svq.losses import log_train_loss

from .simvp import SimVP


class TAU(SimVP):
    """Temporal Attention Unit (Tan et al., 2023): SimVP with ``model_type='tau'`` and a loss on the frame differences."""

    def diff_div_reg(self, pred_y: Tensor, batch_y: Tensor, tau: float = 0.1, eps: float = 1e-12) -> Tensor:
        """Differential divergence regularisation, Eq. (6)-(8) of the TAU paper.

        The Kullback-Leibler terms between the softmax, over all entries of a frame at temperature ``tau``, of predicted
        and of true differences between consecutive frames, averaged. ``(B, T, C, H, W)`` -> scalar, 0 for ``T <= 2``.
        """
        if pred_y.shape[1] <= 2:
            return pred_y.new_zeros(())
        p, q = ((y.diff(dim=1).flatten(2) / tau).softmax(dim=-1) for y in (pred_y, batch_y))  # (B, T-1, C*H*W)
        return (p * torch.log(p / (q + eps) + eps)).mean()

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        batch_x, batch_y = batch
        pred_y = self(batch_x)
        loss = self.criterion(pred_y, batch_y) + self.hparams.alpha * self.diff_div_reg(pred_y, batch_y)
        return log_train_loss(self, loss, len(batch_x))
