from collections.abc import Collection, Mapping
from typing import Any

import pytorch_lightning as pl
from torch import nn

from openstl_svq.naming import accepted


class Base_method(pl.LightningModule):
    """What every method shares: a network and a loss, built from the whole configuration as keyword arguments.

    A subclass has ``forward(batch_x, batch_y)`` and ``training_step(batch, batch_idx)`` for batches ``(x, y)`` of shapes
    ``(B, T_in, C, H, W)`` and ``(B, T_out, C, H, W)``; :class:`~openstl_svq.methods.ForecastMethod`, which goes in front,
    validates, tests and has the optimizer.

    Attributes:
        model_class: the network; its constructor's parameters are configuration keys.
        config_keys: the keys that the method reads beside them.
        defaults: values of configuration keys where they differ from the command line's.
    """

    model_class: type[nn.Module]
    config_keys: Collection[str] = ()
    defaults: Mapping[str, Any] = {}

    def __init__(self, **args):
        super().__init__()
        self.save_hyperparameters(logger=False)
        self.model = self._build_model(**args)
        self.criterion = nn.MSELoss()

    def _build_model(self, **args) -> nn.Module:
        return self.model_class(**accepted(self.model_class, args))
