"""What a quantizer changes in a method of the SimVP family."""

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from ..losses import log_train_loss
from ..models import SimVP_SVQ_Model
from ..models.dynamics import watch
from ..naming import accepted
from ..quantizers import SVQ

# Steps between two logs of usage, and tokens of a batch that enter one: enough for a trend, under 1 % of the steps'
# cost (`tools/benchmark.py step`).
USAGE_INTERVAL, USAGE_TOKENS = 100, 512

WIDTH = "width"  # quantizer_lr: the factor with which SVQ's fold moves as a layer of its shape
# Optimizers whose step is proportional to the gradient.
_NOT_ADAPTIVE = ("sgd", "nesterov", "momentum", "sgdp")


class Quantized:
    """Goes in front of a method of the SimVP family: the network with a quantizer, its auxiliary loss in training."""

    model_class = SimVP_SVQ_Model

    def __init__(self, **args):
        super().__init__(**args)
        if self.model.quantizer is not None:
            self.model.quantizer.usage_tokens = USAGE_TOKENS
            self.quantizer_rate = self._quantizer_rate()
            if self.hparams.get("fold_clip") is not None:
                self._svq("fold_clip").check_fold("fold_clip")

    def _svq(self, option: str) -> SVQ:
        if not isinstance(self.model.quantizer, SVQ):
            raise ValueError(
                f"{option} is for the codebook of svq; the quantizer {self.hparams.get('quantizer', 'svq')!r} has none "
                f"that it could act on. Leave {option} out."
            )
        return self.model.quantizer

    def _quantizer_rate(self) -> float:
        """The factor of the learning rate of SVQ's W2, b2 and M that ``quantizer_lr`` asks for."""
        given = self.hparams.get("quantizer_lr", 1.0)
        if given == 1:
            return 1.0
        svq = self._svq("quantizer_lr")
        optimizer = str(self.hparams.opt).lower().rpartition("_")[2]
        if given == WIDTH:
            return svq.width_factor(adaptive=optimizer not in _NOT_ADAPTIVE)
        if not svq.codebook_parameters():
            raise ValueError("quantizer_lr has nothing to act on: codebook and projection are both frozen.")
        return given

    def rate_factors(self) -> list[tuple[list[nn.Parameter], float]]:
        """What `ForecastMethod.configure_optimizers` multiplies the learning rate of some parameters by."""
        if self.model.quantizer is None or self.quantizer_rate == 1:
            return []
        return [(self.model.quantizer.codebook_parameters(), self.quantizer_rate)]

    def optimizer_step(self, *args, **kwargs):
        """The step, how far it moved the fold, and how far ``fold_clip`` lets it."""
        quantizer, clip = self.model.quantizer, self.hparams.get("fold_clip")
        folds = hasattr(quantizer, "fold") and not getattr(quantizer, "output_relu", False)
        step, due = self.global_step, self._usage_is_due() and folds
        before = quantizer.codebook_state() if clip is not None and quantizer is not None else None
        with torch.no_grad():
            old = quantizer.fold()[0].clone() if due else None
        super().optimizer_step(*args, **kwargs)
        if before is not None:
            quantizer.limit_step(before, clip)
        if old is not None:
            with torch.no_grad():
                change = (quantizer.fold()[0] - old).norm() / old.norm()
            self._log_at({"quantizer/fold_change": change}, step)

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

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        batch_x, batch_y = batch
        with_usage = self._usage_is_due()
        with watch(self.model) if with_usage else nullcontext({}) as dynamics:
            prediction, outputs = self._rollout(batch_x, **({"return_usage": True} if with_usage else {}))
        loss = self._prediction_loss(prediction, batch_y)
        if outputs[0] is not None:
            aux_loss = torch.stack([output.aux_loss for output in outputs]).mean()
            self.log("aux_loss", aux_loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(batch_x))
            loss = loss + aux_loss
        if with_usage:
            usage = outputs[0].usage if outputs[0] is not None else {}
            self._log_at({f"quantizer/{name}": value for name, value in (usage or {}).items()} | dynamics)
        return log_train_loss(self, loss, len(batch_x))

    def _log_at(self, values: dict[str, Tensor], step: int | None = None):
        """To the loggers at once: ``self.log`` would keep it for a step at which Lightning writes the losses."""
        numbers = {name: float(value) for name, value in values.items()}
        for logger in self.loggers:
            logger.log_metrics(
                {**numbers, "epoch": self.current_epoch}, step=self.global_step if step is None else step
            )

    def _usage_is_due(self) -> bool:
        """Every ``usage_interval`` steps: statistics of the weights cost two passes over tokens x codes."""
        interval = self.hparams.get("usage_interval", 0)
        return interval > 0 and self.global_step % interval == 0

    def _prediction_loss(self, prediction: Tensor, batch_y: Tensor) -> Tensor:
        return self.criterion(prediction, batch_y)
