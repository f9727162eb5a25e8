"""One run from start to end, in either host: devices, precision, early stopping, resume, safe checkpoints, scores."""

import contextlib
import datetime
import statistics
import sys
import traceback
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, LearningRateMonitor, ModelCheckpoint, Timer
from pytorch_lightning.utilities import rank_zero_only
from torch.utils.data import DataLoader

from .. import __version__
from .. import config as configuration
from .. import protocol as protocols
from ..files import DISK_FULL, write_text
from ..host import describe, example_input, load_data
from ..methods import get_method
from ..metrics.report import format_table, write_metrics
from ..models.cost import count_parameters, model_cost
from ..timing import out_of_memory, time_in_turn
from . import acceleration
from . import checkpoint as checkpoints
from .callbacks import EpochBar, Patience, SeedEpoch, in_notebook
from .data_module import ForecastData
from .devices import share_batch_norms
from .interruption import MidEpoch
from .loggers import build_loggers, check_loggers
from .out_of_memory import StageOfError, advice, largest_batch
from .predictions import SavePredictions
from .processes import ProcessWatch
from .run_folder import claim_folder, find_checkpoint, hold_folder, locate, release_folder, run_folder, say


class Experiment:
    """Trains and tests the method of a resolved configuration.

    Args:
        args: from :func:`openstl_svq.config.resolve`.
        dataloaders: ``(train, validation, test)`` loaders instead of those of ``args.dataname``.
        callbacks: of Lightning, beside the run's own.

    A run owns the folder ``res_dir/ex_name``::

        config.py                 the resolved configuration, for -c
        checkpoints/best.ckpt     lowest validation loss;  last.ckpt  the end of the last epoch
        metrics.json, metrics.csv test scores by name
        csv/, tensorboard/, ...   what was logged during training
        forecast.png, training.png  of :func:`openstl_svq.figures.draw_run`
        saved/                    with --save_predictions: see :class:`.predictions.SavePredictions`
    """

    def __init__(
        self, args: Namespace, dataloaders: Sequence[DataLoader] | None = None, callbacks: Sequence[Callback] = ()
    ):
        if wrong := [callback for callback in callbacks if not isinstance(callback, Callback)]:
            raise ValueError(f"callbacks must be objects of pytorch_lightning.Callback, got {wrong[0]!r}.")
        self._further_callbacks = list(callbacks)
        if args.ckpt_path and not args.test:
            raise ValueError("--ckpt_path is the checkpoint that --test scores; to train on from one, give --resume.")
        check_loggers(args.logger)
        self.started_from = find_checkpoint(args) if args.resume else None
        if self.started_from:
            run = run_folder(self.started_from)
            run = run if run.name else run.resolve()
            args.res_dir, args.ex_name = str(run.parent), run.name
            hold_folder(run)
        else:
            args.ex_name = claim_folder(Path(args.res_dir), args.ex_name, args.num_nodes)
        self.args, self.config = args, vars(args)
        self.costs: dict[str, float] = {}  # by name, of those that have been measured
        self.predictions: SavePredictions | None = None  # of --save_predictions
        self.save_dir = Path(args.res_dir, args.ex_name)
        self._failed_in = StageOfError()
        self._watch = ProcessWatch(lambda: checkpoints.how_to_go_on(self.save_dir))
        try:
            self._prepare(dataloaders)
        except BaseException:  # then the name is free again
            release_folder(self.save_dir)
            raise

    def _prepare(self, dataloaders: Sequence[DataLoader] | None):
        args = self.args
        source = self.started_from or (Path(args.ckpt_path) if args.ckpt_path else None)
        state = checkpoints.load(source) if source else {}
        if self.started_from:
            _refuse_changes(state, args, self.started_from)
        pl.seed_everything(args.seed, verbose=False)
        self.accelerator, self.devices = _devices(args)
        self.processes = args.num_nodes * (len(self.devices) if isinstance(self.devices, list) else self.devices)
        self.data = ForecastData(*(dataloaders or load_data(**self.config)), self.config)
        if change := self.data.keep_statistics(state.get("hyper_parameters") or {}):
            say(change)
        self.batches_per_step = self.data.split_among(self.processes)
        self.method = self._build_method()
        acceleration.prepare(self.method, self.accelerator, args)
        shared = args.sync_batchnorm and self.processes > 1
        if shared and self.accelerator == "cpu":  # Lightning's way is for GPUs alone
            share_batch_norms(self.method)
        self.trainer = self._build_trainer()
        self.method.hparams["trained_on"] = self.data.trained_on()  # into every checkpoint, for openstl_svq.predict
        self._weights_of: tuple[Path, int | None] | None = None  # the checkpoint in the method, and its epochs
        self._waited = 0  # epochs without an improvement before the resume
        if source:
            self._put_weights(source, state)
        if self.started_from:
            self._waited = max(
                (
                    saved.get("wait_count", 0)
                    for key, saved in state.get("callbacks", {}).items()
                    if key.startswith(Patience.__name__)
                ),
                default=0,
            )

    def _batches_per_epoch(self) -> int:
        return min(len(self.data.train_loader), self.args.limit_train_batches or sys.maxsize)

    def _build_method(self) -> pl.LightningModule:
        method = get_method(self.args.method)
        try:
            return method.cls(
                steps_per_epoch=self._batches_per_epoch(),
                test_mean=self.data.test_mean,
                test_std=self.data.test_std,
                save_dir=str(self.save_dir),
                **self.data.of_the_points(),
                **self.config,
            )
        except AttributeError as error:  # OpenSTL's methods read their sizes from the configuration as attributes
            unset = sorted((method.keys or set()) - self.config.keys())
            if not unset:
                raise
            raise ValueError(
                f"{method.name} cannot be built: {error}. Configuration keys that it may read and that "
                f"are not set: {', '.join(unset)}. Give them in a file (-c) or with --cfg_options."
            ) from error

    def _put_weights(self, path: Path, state: dict):
        checkpoints.load_weights(self.method, state, f"checkpoint {path}")
        self._weights_of = path, state["epoch"] + 1 if "epoch" in state else None

    def _callbacks(self) -> list[Callback]:
        args, ckpt_dir = self.args, self.save_dir / "checkpoints"
        best = ModelCheckpoint(
            dirpath=ckpt_dir,
            filename="best",
            monitor=args.metric_for_bestckpt,
            mode="min",
            every_n_epochs=args.log_step,
            enable_version_counter=False,
        )
        # A checkpoint of its own, not save_last: `last` must also be written when the epoch was not the best.
        last = ModelCheckpoint(
            dirpath=ckpt_dir,
            filename="last",
            monitor=None,
            save_top_k=1,
            every_n_epochs=1,
            enable_version_counter=False,
            save_on_train_epoch_end=True,
        )
        bar = EpochBar(refresh_rate=1 if sys.stdout.isatty() or in_notebook() else 0)  # a log has its lines alone
        samples = self.processes * self.data.batch_size * self.batches_per_step
        self.timer = Timer()  # of all parts of a resumed run: its state is in the checkpoints
        callbacks = [
            self._watch,
            self._failed_in,
            SeedEpoch(args.seed),
            self.timer,
            bar,
            best,
            last,
            MidEpoch(ckpt_dir / "last.ckpt", args.save_every, samples),
        ]
        if args.compile:
            callbacks.append(acceleration.CompileReport(say))
        if args.save_predictions:
            self.predictions = SavePredictions(self.save_dir, self.data)
            callbacks.append(self.predictions)
        if not args.test:
            callbacks.append(LearningRateMonitor())
        if args.patience:
            callbacks.append(Patience(args.metric_for_bestckpt, patience=args.patience, mode="min", check_finite=False))
        return callbacks + self._further_callbacks

    def _build_trainer(self) -> pl.Trainer:
        args = self.args
        strategy = "ddp" if args.dist and args.strategy == "auto" else args.strategy
        limits = {"limit_val_batches": 1, "limit_test_batches": 1} if args.fast_dev_run else {}
        return pl.Trainer(
            accelerator=self.accelerator,
            devices=self.devices,
            num_nodes=args.num_nodes,
            strategy=strategy,
            precision=args.precision,
            accumulate_grad_batches=self.batches_per_step,
            sync_batchnorm=args.sync_batchnorm and self.processes > 1 and self.accelerator == "gpu",
            max_epochs=args.epoch,
            callbacks=self._callbacks(),
            logger=[] if args.test else build_loggers(args, self.save_dir),
            limit_train_batches=args.limit_train_batches,
            **limits,
            plugins=[checkpoints.SafeCheckpointIO()],
            gradient_clip_val=args.clip_grad,
            gradient_clip_algorithm=args.clip_mode if args.clip_grad else None,
            deterministic=args.deterministic,
            use_distributed_sampler=False,
            default_root_dir=self.save_dir,
            num_sanity_val_steps=0,
            log_every_n_steps=max(1, min(50, self._batches_per_epoch() // self.processes)),
            enable_model_summary=False,
        )

    def describe(self) -> str:
        """What is about to run: host, data, protocol, size and cost of the model."""
        args = self.args
        steps, *frame = args.in_shape
        sizes = [
            len(loader.dataset) for loader in (self.data.train_loader, self.data.valid_loader, self.data.test_loader)
        ]
        lines = [
            str(describe()),
            f"data: {args.dataname}, {steps} -> {args.aft_seq_length} frames of {' x '.join(map(str, frame))}, "
            f"{sizes[0]:,} / {sizes[1]:,} / {sizes[2]:,} windows to train / validate / test",
            f"protocol: {args.protocol} ({protocols.describe(args.protocol)})",
        ]
        example = example_input(args, self.method)
        self.costs["parameters"] = count_parameters(self.method.model)
        size = f"method: {args.method}, {self.costs['parameters'] / 1e6:.2f}M parameters"
        try:
            self.costs["flops"] = model_cost(self.method.model, example).flops
            size += f", {self.costs['flops'] / 1e9:.2f}G FLOPs a forecast"
        except Exception as error:  # tracing somebody's module can fail in any way; a run does not depend on its cost
            size += f" (FLOPs not counted: {type(error).__name__}: {error})"
        lines.append(size)
        if args.fps:
            seconds = time_in_turn({"forecast": lambda: self._infer(example)}, rounds=10)["forecast"]
            self.costs["frames_per_second"] = args.aft_seq_length / statistics.median(seconds)
            lines.append(
                f"speed: {self.costs['frames_per_second']:.1f} frames a second ({1 / statistics.median(seconds):.2f} forecasts of "
                f"{args.aft_seq_length}, one at a time, on the CPU)"
            )
        return "\n".join(lines)

    @torch.inference_mode()
    def _infer(self, inputs):
        training = self.method.model.training
        self.method.model.eval()
        try:
            return self.method.model(*inputs) if isinstance(inputs, tuple) else self.method.model(inputs)
        finally:
            self.method.model.train(training)

    # the run

    def train(self) -> None:
        """Trains until ``epoch`` or until validation stops improving; leaves the best weights in the method."""
        with self._explaining():
            self._train()

    def _train(self) -> None:
        self._introduce()
        best, last = (self.save_dir / "checkpoints" / name for name in ("best.ckpt", "last.ckpt"))
        stopped = self.args.patience and self._waited >= self.args.patience
        if self.started_from and not stopped:
            say(f"resuming from {self.started_from}")
        if not stopped:
            self._watch.start(self.trainer)
            try:
                self.trainer.fit(self.method, self.data, ckpt_path=self.started_from)
            except SystemExit:  # how Lightning ends after Ctrl-C
                say(f"interrupted. {checkpoints.how_to_go_on(self.save_dir)}")
                raise
            stopped = self.trainer.current_epoch < self.args.epoch
            self.costs["train_seconds"] = round(self.timer.time_elapsed(), 3)  # validation and checkpoints too
            if self.trainer.strategy.root_device.type == "cuda":
                self.costs["peak_gpu_memory"] = torch.cuda.max_memory_allocated(self.trainer.strategy.root_device)
        if stopped:
            say(f"stopped early: {self.args.metric_for_bestckpt} has not improved for {self.args.patience} epochs")
        if not best.is_file():
            say(f"no epoch was eligible for best.ckpt (log_step={self.args.log_step}): the last weights are scored")
        chosen = best if best.is_file() else last
        self._put_weights(chosen, checkpoints.load(chosen))

    def test(self) -> dict[str, dict]:
        """Scores the weights in the method; writes and prints them. Returns ``{name of the forecast: scores}``."""
        with self._explaining():
            if self.args.test:
                self._introduce()
            self._watch.start(self.trainer)
            self.trainer.test(self.method, self.data, verbose=False)
            results = self.method.test_results
            if self.trainer.is_global_zero:
                self._report(results)
            return results

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        """Says which disk is full, and what is left of the run (the loggers' errors name no file), or what has room."""
        try:
            yield
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            traceback.clear_frames(error.__traceback__)  # which hold the step's tensors
            raise MemoryError(f"out of memory on {_device_name(self.trainer)}: {self._what_fits()}") from None
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            raise OSError(
                f"the run folder {self.save_dir} could not be written: {error.strerror}. Free space, or take another disk "
                f"(--res_dir). {checkpoints.how_to_go_on(self.save_dir)}"
            ) from error

    def _what_fits(self) -> str:
        training, network = self._failed_in.training, self.method.model
        tried = self.data.batch_size if training else self.data.test_loader.batch_size
        fitting = None
        with contextlib.suppress(Exception), self.trainer.strategy.precision_plugin.forward_context():
            network.to(self.trainer.strategy.root_device)  # where Lightning takes it from at an error
            example = example_input(self.args, self.method)
            inputs = [
                x.to(self.trainer.strategy.root_device) for x in (example if isinstance(example, tuple) else (example,))
            ]
            fitting = largest_batch(network, inputs, tried, training)
        total = self.processes * self.data.batch_size * self.batches_per_step
        return advice(tried, fitting, training, total, self.args.checkpoint_activations)

    def _introduce(self):
        """Says what is about to run, and keeps its configuration."""
        if self.trainer.is_global_zero and (self.args.fps or not self.args.no_display_method_info):  # once is enough
            say(self.describe())
        self._write_config()

    @rank_zero_only
    def _write_config(self):
        text = configuration.dump(self.config, f"command: {' '.join(sys.argv)}")
        write_text(self.save_dir / "config.py", text)

    def _report(self, results):
        climatology = self.data.climatology
        about = {} if climatology is None else {"climatology": climatology.kind}
        write_metrics(self.save_dir, results, units=self.data.score_units, provenance={**self.provenance(), **about})
        print(format_table(results, self.data.score_units))
        if climatology is not None:
            print(f"climatology: {climatology.describe()}")
        print(f"run folder: {self.save_dir}")

    def provenance(self) -> dict:
        """What a number from this run needs to be understood and repeated."""
        import timm

        host = describe()
        path, epochs = self._weights_of or (None, None)
        return {
            "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            "method": self.args.method,
            "dataset": self.args.dataname,
            "protocol": self.args.protocol,
            "seed": self.args.seed,
            "checkpoint": None if path is None else str(path),
            "epochs": epochs,
            "openstl_svq": __version__,
            "host": host.name,
            "host_version": host.version,
            "torch": torch.__version__,
            "timm": timm.__version__,
            "pytorch_lightning": pl.__version__,
            "device": _device_name(self.trainer),
            **self.costs,
        }


def test_run(place: str | Path, argv: list[str] | None = None) -> Experiment:
    """Tests a checkpoint, with the configuration it carries and whatever ``argv`` changes in it.

    Args:
        place: a checkpoint or the folder of a run. The scores go to a new folder ``test`` in the run's.
        argv: words of a command line; a configuration file among them replaces the saved configuration.
    """
    path = locate(place)
    state = checkpoints.load(path)
    has_file = any(word.split("=")[0] in ("-c", "--config_file") for word in argv or [])
    args = configuration.resolve(argv, base=None if has_file else checkpoints.saved_config(state))
    args.test, args.ckpt_path, args.resume = True, str(path), None
    args.res_dir, args.ex_name = str(run_folder(path)), "test"
    experiment = Experiment(args)
    experiment.test()
    return experiment


# What the state of the optimizer and the schedule holds, which a resumed run goes on with.
_KEPT = ("lr", "weight_decay", "opt", "opt_eps", "opt_betas", "momentum", "filter_bias_and_bn", "quantizer_lr")
_KEPT += ("sched", "warmup_lr", "warmup_epoch", "min_lr", "lr_k_decay", "final_div_factor", "decay_epoch", "decay_rate")


def _refuse_changes(state: dict, args: Namespace, path: Path):
    """What a resumed run would say that it does, and would not do."""
    planned = state.get("hyper_parameters") or {}
    for key in _KEPT:
        if key in planned and planned[key] != getattr(args, key):
            raise ValueError(
                f"{path} is continued with the optimizer and schedule that it has, and so with {key} {planned[key]!r}, not "
                f"{getattr(args, key)!r}. Leave {key} out, or start a new run."
            )
    ends = {"onecycle": "one-cycle", "cosine": "cosine", "tanh": "tanh"}.get(str(planned.get("sched")).lower())
    if ends and args.epoch > planned.get("epoch", args.epoch):
        raise ValueError(
            f"{path} cannot be trained for {args.epoch} epochs: its {ends} schedule ends after {planned['epoch']}. "
            f"Resume it with --epoch {planned['epoch']}, or start a new run."
        )


def _devices(args) -> tuple[str, int | list[int]]:
    """Lightning's ``accelerator`` and ``devices``.

    Raises:
        ValueError: the device asked for is not there.
    """
    have_gpu, have_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    accelerator = args.accelerator
    if accelerator == "auto":
        accelerator = "gpu" if have_gpu else "mps" if have_mps else "cpu"
    if accelerator == "gpu" and not have_gpu:
        raise ValueError(
            "--accelerator gpu, but torch sees no GPU. Use --accelerator cpu, or install a torch with CUDA."
        )
    if accelerator == "mps" and not have_mps:
        raise ValueError("--accelerator mps, but this machine has no Metal device. Use --accelerator cpu.")
    if accelerator == "gpu":
        missing = [i for i in args.gpus if i >= torch.cuda.device_count()]
        if missing:
            raise ValueError(
                f"--gpus {' '.join(map(str, args.gpus))}: there is no GPU {missing[0]}; "
                f"torch sees {torch.cuda.device_count()}, numbered from 0."
            )
        for i in args.gpus if str(args.precision).startswith("bf16") and not torch.version.hip else ():
            if torch.cuda.get_device_capability(i) < (8, 0):
                raise ValueError(
                    f"--precision {args.precision}: GPU {i} ({torch.cuda.get_device_name(i)}) has no bfloat16 arithmetic. "
                    "Use --precision 16-mixed or 32-true."
                )
        return accelerator, list(args.gpus)
    return accelerator, len(args.gpus)


def _device_name(trainer) -> str:
    device = trainer.strategy.root_device
    if device.type == "cuda":
        return f"{trainer.world_size} x {torch.cuda.get_device_name(device)}"
    return f"{device.type} ({torch.get_num_threads()} threads)" if device.type == "cpu" else device.type
