"""What a quantizer changes in a method of the SimVP family."""

import torch
from torch import Tensor

from ..models import SimVP_SVQ_Model
from ..naming import accepted

# Steps between two logs of usage, and tokens of a batch that enter one: enough for a trend, under 1 % of the steps'
# cost (`tools/benchmark.py step`).
USAGE_INTERVAL, USAGE_TOKENS = 100, 4096


class Quantized:
    """Goes in front of a method of the SimVP family: the network with a quantizer, its auxiliary loss in training."""

    model_class = SimVP_SVQ_Model

    def __init__(self, **args):
        super().__init__(**args)
        if self.model.quantizer is not None:
            self.model.quantizer.usage_tokens = USAGE_TOKENS

    def configure_model(self):
        super().configure_model()
        if self.model.quantizer is not None:
            self.model.quantizer.processes_started()

    def on_fit_start(self):
        super().on_fit_start()
        if self.model.quantizer is not None:
            steps, _, height, width = self.hparams.in_shape
            frames = self.hparams.batch_size * steps
            self.model.quantizer.check_memory(frames * height * width // 4 ** (self.hparams.get("N_S", 4) // 2))

    def _build_model(self, **args):
        return self.model_class(**accepted(self.model_class, args))

    def forward(self, batch_x: Tensor, batch_y: Tensor | None = None, **kwargs) -> Tensor:
        """``(B, pre_seq_length, C, H, W)`` -> ``(B, aft_seq_length, C, H, W)``."""
        return self._rollout(batch_x)[0]

    def _rollout(self, batch_x: Tensor, **quantizer_options):
        """The forecast, as many passes as it needs, and the quantizer's output of each pass."""
        wanted = self.hparams.aft_seq_length
        predictions, outputs = [], []
        current = batch_x
        while sum(p.shape[1] for p in predictions) < wanted:
            current, output = self.model(current, return_quantizer_output=True, **quantizer_options)
            predictions.append(current)
            outputs.append(output)
        return torch.cat(predictions, dim=1)[:, :wanted], outputs

    def training_step(self, batch, batch_idx) -> Tensor:
        batch_x, batch_y = batch
        with_usage = self._usage_is_due()
        prediction, outputs = self._rollout(batch_x, **({"return_usage": True} if with_usage else {}))
        loss = self._prediction_loss(prediction, batch_y)
        if outputs[0] is not None:
            aux_loss = torch.stack([output.aux_loss for output in outputs]).mean()
            self.log("aux_loss", aux_loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(batch_x))
            if with_usage:
                self._log_usage(outputs[0].usage or {})
            loss = loss + aux_loss
        self.log(
            "train_loss", loss, on_step=True, on_epoch=True, prog_bar=True, sync_dist=True, batch_size=len(batch_x)
        )
        return loss

    def _log_usage(self, usage: dict[str, Tensor]):
        """To the loggers at once: ``self.log`` would keep it for a step at which Lightning writes the losses."""
        values = {f"quantizer/{name}": float(value) for name, value in usage.items()}
        for logger in self.loggers if values else ():
            logger.log_metrics({**values, "epoch": self.current_epoch}, step=self.global_step)

    def _usage_is_due(self) -> bool:
        """Every ``usage_interval`` steps: statistics of the weights cost two passes over tokens x codes."""
        interval = self.hparams.get("usage_interval", 0)
        return self.model.quantizer is not None and interval > 0 and self.global_step % interval == 0

    def _prediction_loss(self, prediction: Tensor, batch_y: Tensor) -> Tensor:
        return self.criterion(prediction, batch_y)
