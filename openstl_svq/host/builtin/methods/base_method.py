import pytorch_lightning as pl
from torch import Tensor, nn

from ..core import get_optim_scheduler


class Base_method(pl.LightningModule):
    """What every method shares: the model, the loss, the optimizer.

    Built from the whole configuration as keyword arguments, as in OpenSTL; a subclass says in ``_build_model`` which of
    them make the model. Batches are ``(x, y)`` of shapes ``(B, T_in, C, H, W)`` and ``(B, T_out, C, H, W)``.
    """

    def __init__(self, **args):
        super().__init__()
        self.save_hyperparameters(logger=False)
        self.model = self._build_model(**args)
        self.criterion = nn.MSELoss()

    def _build_model(self, **args) -> nn.Module:
        raise NotImplementedError(f"{type(self).__name__} must build its model in _build_model")

    def configure_optimizers(self):
        optimizer, scheduler, by_epoch = get_optim_scheduler(
            self.hparams, self.hparams.epoch, self.model, self.hparams.steps_per_epoch
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "epoch" if by_epoch else "step"},
        }

    def validation_step(self, batch, batch_idx) -> Tensor:
        return self._evaluate(batch, "val_loss")

    def test_step(self, batch, batch_idx) -> Tensor:
        return self._evaluate(batch, "test_loss")

    def _evaluate(self, batch, name: str) -> Tensor:
        batch_x, batch_y = batch
        loss = self.criterion(self(batch_x, batch_y), batch_y)
        self.log(name, loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(batch_x))
        return loss
