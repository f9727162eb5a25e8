import torch
from torch import Tensor

from openstl_svq.losses import log_train_loss

from ..models import SimVP_Model
from .base_method import Base_method


class SimVP(Base_method):
    """SimVP (Gao et al., 2022; Tan et al., 2022): all frames out in one pass, rolled out when more are asked for."""

    model_class = SimVP_Model

    def forward(self, batch_x: Tensor, batch_y: Tensor | None = None, **kwargs) -> Tensor:
        """``(B, pre_seq_length, C, H, W)`` -> ``(B, aft_seq_length, C, H, W)``.

        The model gives as many frames as it is fed. Fewer are cut off; for more it is fed its own output.
        """
        wanted = self.hparams.aft_seq_length
        predictions = [self.model(batch_x)]
        while len(predictions) * batch_x.shape[1] < wanted:
            predictions.append(self.model(predictions[-1]))
        return torch.cat(predictions, dim=1)[:, :wanted]

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        batch_x, batch_y = batch
        loss = self.criterion(self(batch_x), batch_y)
        return log_train_loss(self, loss, len(batch_x))
