"""Training from Python, on data in memory: what ``tools/train.py`` does with a file."""

import math
import shutil
import signal
import tempfile
import weakref
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.callbacks import Callback

from .. import cli, schema
from .. import config as configuration
from ..config_file import find_config, load_config, merge
from ..data.datasets.custom import cut_out, source_of_data, splits_of
from ..data.loaders import make_loaders
from ..data.sources import Source
from ..memory import refuse_too_large
from ..methods import get_method
from ..protocol import STRICT
from ..training import checkpoint
from ..training.experiment import Experiment
from ..training.run_folder import find_checkpoint, release_folder
from .files import write_predictions
from .forecaster import Forecaster

_WHERE = "the data"
_IN_MEMORY = "(in memory)"  # the data_root of a run whose data came from no file
_SELECTION = ("data_name", "level", "region", "crop", "mask")  # of the data, before their shape is known
_STEPS_AN_EPOCH, _LARGEST_BATCH = 8, 16
_FEW = 5_000  # frames, up to which a small network is enough
_NOT_HERE = {
    "dataname": "the data are what fit is given",
    "data_root": "the data are what fit is given",
    "test": "fit trains; score a trained model with openstl_svq.load(...).score(data)",
    "ckpt_path": "fit trains; score a trained model with openstl_svq.load(...).score(data)",
    "cfg_options": "every configuration key is a keyword of fit by itself",
}


def fit(
    data: Any,
    steps_in: int | None = None,
    steps_out: int | None = None,
    method: str | None = None,
    epochs: int | None = None,
    *,
    save_dir: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
    **overrides: Any,
) -> Forecaster:
    """See :func:`openstl_svq.fit`."""
    given = _given(steps_in, steps_out, method, epochs, save_dir, overrides)
    earlier = _earlier(given)
    with cli.quiet():
        source = _open(data, merge(earlier, given))
        place = None if {"res_dir", "ex_name", "resume"} & given.keys() else tempfile.mkdtemp(prefix="openstl_svq_")
        try:
            model = _train(source, *_resolve(source, given, earlier, place), callbacks)
        except SystemExit as ended:  # how training ends after a signal, when it has saved itself
            if ended.code != 128 + signal.SIGINT:
                raise
            raise KeyboardInterrupt from ended
        except BaseException:
            if place is not None:
                shutil.rmtree(place, ignore_errors=True)
            raise
    if place is not None:
        weakref.finalize(model, shutil.rmtree, place, ignore_errors=True)
    return model


def _given(steps_in, steps_out, method, epochs, save_dir, overrides: dict) -> dict:
    """What was asked for, by configuration keys."""
    for key, why in _NOT_HERE.items():
        if key in overrides:
            raise ValueError(f"fit takes no {key}: {why}.")
    named = {"pre_seq_length": ("steps_in", steps_in), "aft_seq_length": ("steps_out", steps_out)}
    named |= {"method": ("method", method), "epoch": ("epochs", epochs)}
    if save_dir is not None:
        folder = Path(save_dir).expanduser().resolve()
        named |= {"res_dir": ("save_dir", str(folder.parent)), "ex_name": ("save_dir", folder.name)}
    for key, (name, value) in named.items():
        if value is None:
            continue
        schema.RULES[key](name, value)
        if key in overrides and key != name:
            raise ValueError(f"{name} and {key} say the same thing: give one of them.")
    return overrides | {key: value for key, (_, value) in named.items() if value is not None}


def _earlier(given: dict) -> dict:
    """What stands below the keywords: the configuration file, or the configuration of the run to resume."""
    if given.get("config_file"):
        return load_config(find_config(given["config_file"]), "any" if given.get("allow_code") else "plugins")
    if given.get("resume"):
        run = Namespace(**{"res_dir": "work_dirs", "ex_name": "", **given})
        return checkpoint.saved_config(checkpoint.load(find_checkpoint(run)))
    return {}


def _open(data, layers: dict) -> Source:
    """The frames of ``data`` that the configuration selects, not read yet."""
    chosen = {key: value for key, value in layers.items() if key in _SELECTION}
    for key, value in chosen.items():
        schema.RULES[key](key, value)
    source = source_of_data(data, chosen.get("data_name"), level=chosen.get("level"), where=_WHERE)
    return cut_out(source, chosen)


def _resolve(source: Source, given: dict, earlier: dict, place: str | None) -> tuple[Namespace, bool]:
    """The configuration: defaults that suit these data, below the file, below what was given. And whether the batch size
    is among the defaults, which is then to be that of :func:`_batch_size`."""
    layers = merge(earlier, given)
    frames = len(source.frames)
    steps_in = given.get("pre_seq_length") or (layers.get("in_shape") or [layers.get("pre_seq_length")])[0] or 12
    steps_out = layers.get("aft_seq_length") or 3
    record = get_method(str(layers.get("method") or "simvp_svq"))
    small = {
        "hid_S": 16,
        "hid_T": 64 if frames <= _FEW else 256,
        "N_S": 4 if min(source.frames.shape[2:]) >= 32 else 2,
        "N_T": 4,
    }
    defaults: dict[str, Any] = {key: value for key, value in small.items() if key in (record.keys or ())}
    defaults |= {"method": record.name, "epoch": 20, "num_workers": 0, "logger": ["csv"]}
    if record.quantized and layers.get("quantizer", "svq") == "svq":
        defaults |= {"quantizer_lr": "width", "quantizer_kwargs": {"residual": True}}
    if record.multiple is not None:
        defaults["pad"] = True
    if not any(layers.get(key) for key in ("split", "train_time", "val_time", "test_time")):
        defaults["split"] = _shares(source, steps_in + steps_out)
    if place is not None:
        defaults |= {"res_dir": place, "ex_name": "run"}
    fixed = {"dataname": "custom", "data_root": _IN_MEMORY, "pre_seq_length": steps_in, "aft_seq_length": steps_out}
    fixed |= {"in_shape": list(given.get("in_shape") or (steps_in, *map(int, source.frames.shape[1:])))}
    if source.name is not None:
        fixed["data_name"] = source.name
    resumed = {} if given.get("config_file") else earlier
    args = configuration.resolve([], base=merge(defaults, resumed), keywords={**given, **fixed})
    if place is not None and args.num_nodes * len(args.gpus) > 1:
        raise ValueError("several devices train in processes that need a folder to share: give save_dir.")
    if args.protocol != STRICT:
        raise ValueError(f"data in memory know one protocol, {STRICT}, got {args.protocol!r}: leave protocol out.")
    return args, "batch_size" not in layers


def _batch_size(windows: int) -> int:
    """A power of two with which an epoch over so many ``windows`` has some steps."""
    return 2 ** int(math.log2(min(_LARGEST_BATCH, max(1, windows / _STEPS_AN_EPOCH))))


def _shares(source: Source, length: int) -> list[float]:
    """Frames with 70, 10 and 20 % of the windows for training, validation and test, and a window each at least.

    Raises:
        ValueError: the frames are too few for a window in each.
    """
    frames = len(source.frames)
    if source.series.any():  # whole series are dealt out
        return [0.7, 0.1, 0.2]
    if frames < 3 * length:
        raise ValueError(
            f"{_WHERE} have {frames} frames, too few: training, validation and test need a window of {length} each "
            f"(steps_in + steps_out), {3 * length} frames together. Give more data, or shorter steps_in and steps_out."
        )
    windows = frames - 3 * (length - 1)  # in the three parts together
    validation, test = (length - 1 + max(1, round(share * windows)) for share in (0.1, 0.2))
    return [1 - (validation + test) / frames, validation / frames, test / frames]


def _train(source: Source, args: Namespace, choose_batch: bool, callbacks: Sequence[Callback]) -> Forecaster:
    from .. import load

    size = 4 * math.prod(source.frames.shape)
    refuse_too_large(_WHERE, size, " Write them to a file and train with -d custom, which reads it piece by piece.")
    source = source.cached(_WHERE, args.mask, in_memory=True)
    train, validation, test = splits_of(source, _WHERE, vars(args), use_augment=args.use_augment)
    if choose_batch:
        args.batch_size = _batch_size(len(train))
    loaders = make_loaders(
        train,
        validation,
        test,
        batch_size=args.batch_size,
        val_batch_size=args.val_batch_size,
        num_workers=args.num_workers,
        drop_last=args.drop_last,
    )
    experiment = Experiment(args, loaders, callbacks)
    try:
        experiment.train()
        experiment.test()
        write_predictions(experiment)
    finally:
        release_folder(experiment.save_dir)
    model = load(experiment.save_dir, plain=args.plain, allow_code=True)
    model.to(experiment.trainer.strategy.root_device)
    model.example = test.alone(len(test) - 1)
    return model
