"""Checkpoints of plain tensors and numbers: written atomically, checked and read without running anybody's code."""

import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from torch import nn

from ..files import replacing

# What a method is built from beside the configuration, and what belongs to one start of a program, not to the run.
_NOT_CONFIG = {
    "steps_per_epoch",
    "test_mean",
    "test_std",
    "missing",
    "cycle",
    "save_dir",
    "resume",
    "test",
    "ckpt_path",
    "config_file",
    "overwrite",
    "_instantiator",
    "trained_on",
}


class SafeCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint files, with four promises.

    A file holds tensors, numbers, strings and containers of them, so ``torch.load(..., weights_only=True)`` reads it.
    It appears under its name only when it is complete, so a failed save leaves the previous one intact. Every read
    compares it with its check sums. Reading refuses anything else with one clear message.
    """

    def save_checkpoint(self, checkpoint: Mapping, path: str | Path, storage_options: Any = None) -> None:
        save(checkpoint, path)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return load(path, map_location=map_location or "cpu")


def save(checkpoint: Mapping, path: str | Path) -> None:
    """Writes ``checkpoint``, made plain, to ``path``; all or nothing.

    Raises:
        OSError: it could not be written (disk full, no permission). What stood at ``path`` is untouched.
        TypeError: it holds something that is neither a tensor, a number, a string nor a container of them.
    """
    path = Path(path)
    content = plain(checkpoint)
    try:
        with replacing(path) as partial, open(partial, "wb") as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:
        reason = _disk_failure(error)
        if reason is None:
            raise
        run = path.parent.parent if path.parent.name == "checkpoints" else None
        advice = (
            "Make room for it." if run is None else f"Free space, or take another disk (--res_dir). {how_to_go_on(run)}"
        )
        raise OSError(f"checkpoint {path} could not be written: {reason}. {advice}") from error


def load(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Reads a checkpoint with ``weights_only=True``, once its check sums are found right.

    The check sums are those of the zip archive that ``torch.save`` writes; pickles of torch before 1.6 have none.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is truncated or otherwise damaged, not a checkpoint, or a pickle that holds more than tensors and
            plain values.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path} does not exist. Give a .ckpt file or the folder of a finished run.")
    _check_sums(path)
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        if zipfile.is_zipfile(path) or _is_pickle(path):
            raise ValueError(
                f"checkpoint {path} is refused: it holds more than tensors and plain values, and loading it could run "
                f"any code ({_first_line(error)}). If you trust where it comes from, make it plain with "
                f"`python tools/convert_checkpoint.py {path} OUT.ckpt --trust`."
            ) from error
        raise ValueError(_damaged(path, error)) from error
    except (RuntimeError, EOFError, OSError, LookupError, TypeError, ValueError) as error:
        raise ValueError(_damaged(path, error)) from error
    if not isinstance(checkpoint, Mapping) or "state_dict" not in checkpoint:
        raise ValueError(f"{path} is no checkpoint of a run: it has no 'state_dict'. Give RUN/checkpoints/best.ckpt.")
    return checkpoint


def how_to_go_on(run: Path) -> str:
    """What to do with a run that was ended from outside, by what is in its folder ``run``."""
    if (run / "checkpoints" / "last.ckpt").is_file():
        return f"Its last.ckpt is whole: continue with --resume {run}, on any number of devices."
    return "It has no last.ckpt yet: start it again."


def _check_sums(path: Path) -> None:
    """Compares every part of a checkpoint with the CRC-32 that the archive keeps of it, which torch does not look at.

    Raises:
        ValueError: a part is not as it was written, or the file is neither an archive nor a pickle.
    """
    with open(path, "rb") as file:
        begins = file.read(4)
    if begins != b"PK\x03\x04" and not zipfile.is_zipfile(path):
        if begins[:1] not in (b"\x80", b""):
            raise ValueError(
                f"{path} is no checkpoint: it is not a file that torch.save has written. Give RUN/checkpoints/best.ckpt."
            )
        return
    try:
        with zipfile.ZipFile(path) as archive:
            if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
                raise zipfile.BadZipFile("it has compressed parts, which torch.save never writes")
            wrong = archive.testzip()
    except Exception as error:  # a damaged archive makes the reader fail in any way
        raise ValueError(_damaged(path, error)) from error
    if wrong is not None:
        raise ValueError(_damaged(path, f"{wrong} differs from its check sum"))


def saved_config(checkpoint: Mapping) -> dict:
    """The resolved configuration that a run's checkpoint carries.

    Raises:
        ValueError: it carries none (weights alone, or a checkpoint of another program).
    """
    config = dict(checkpoint.get("hyper_parameters") or {})
    if "method" not in config:
        raise ValueError("the checkpoint carries no configuration. Give the one it was trained with: -d, -m and -c.")
    return {k: v for k, v in config.items() if k not in _NOT_CONFIG}


def load_weights(module: nn.Module, checkpoint: Mapping, source: str = "the checkpoint") -> None:
    """Loads ``checkpoint['state_dict']`` into ``module``, or says what does not fit.

    ``module`` becomes one of float64 where the checkpoint is.

    Raises:
        ValueError: names or shapes differ: the checkpoint is of another architecture. A weight is not finite.
    """
    have, want = checkpoint["state_dict"], module.state_dict()
    missing, extra = [k for k in want if k not in have], [k for k in have if k not in want]
    shapes = [
        f"{k} is {tuple(have[k].shape)}, the model's is {tuple(want[k].shape)}"
        for k in want
        if k in have and have[k].shape != want[k].shape
    ]
    if missing or extra or shapes:
        parts = [
            f"{len(keys)} {what} ({_some(keys)})"
            for what, keys in (
                ("entries missing", missing),
                ("entries unknown to the model", extra),
                ("other shapes", shapes),
            )
            if keys
        ]
        raise ValueError(
            f"{source} is of another architecture: {'; '.join(parts)}. Use the configuration it was "
            "trained with: config.py in its run folder."
        )
    weights = {name: have[name] for name, _ in module.named_parameters()}
    if spoiled := [name for name, value in weights.items() if not torch.isfinite(value).all()]:
        raise ValueError(
            f"{source} holds weights that are NaN or infinite, in {_some(spoiled)}: it is of a run that diverged. Use an "
            "earlier checkpoint, or train again with a lower --lr."
        )
    if weights and all(value.dtype == torch.float64 for value in weights.values()):
        module.double()
    module.load_state_dict(have)


def plain(value: Any, where: str = "checkpoint") -> Any:
    """``value`` with arrays as tensors, numpy numbers as Python's, and all containers as dict, list or tuple."""
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        return value if type(value).__module__ == "builtins" else _as_builtin(value)
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, np.ndarray):
        return torch.as_tensor(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {plain(k, where): plain(v, f"{where}[{k!r}]") for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        items = [plain(v, f"{where}[{i}]") for i, v in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, (set, frozenset, range)):
        return [plain(v, where) for v in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(
        f"{where} is a {type(value).__module__}.{type(value).__qualname__}, which a safe checkpoint cannot "
        "hold: only tensors, arrays, numbers, strings, and containers of them."
    )


def _as_builtin(value):
    """Subclasses of the built-in types (enum members, numpy's float64) as the built-in type itself."""
    for kind, convert in ((str, str.__str__), (float, float.__float__), (int, int.__int__), (bytes, lambda v: v[:])):
        if isinstance(value, kind):
            return convert(value)
    return complex(value)


def _disk_failure(error: BaseException | None) -> str | None:
    """What the system said, which torch's writer hides behind an error of its own; None if no disk is to blame."""
    reason = None
    while error is not None:
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
        if isinstance(error, OSError) or (isinstance(error, RuntimeError) and "PytorchStreamWriter" in str(error)):
            reason = "the disk did not take all of it"
        error = error.__cause__ or error.__context__
    return reason


def _is_pickle(path: Path) -> bool:
    with open(path, "rb") as file:
        start, end = file.read(2), file.seek(-1, os.SEEK_END) and file.read(1)
    return start[:1] == b"\x80" and end == b"."


def _damaged(path: Path, error: Exception | str) -> str:
    return (
        f"checkpoint {path} cannot be read: it is truncated or damaged ({path.stat().st_size:,} bytes; "
        f"{_first_line(error)}). Use another checkpoint of the run, such as last.ckpt or best.ckpt."
    )


def _first_line(error: Exception | str) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _some(items: list, count: int = 3) -> str:
    return ", ".join(items[:count]) + (", ..." if len(items) > count else "")
