"""Trained models as files that need less than this package: programs of torch and ONNX, weights with a JSON card."""

import copy
import json
import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import __version__
from ..acceleration import fold_codebooks
from ..files import replacing, write_text
from ..naming import choose

CARD, WEIGHTS = "card.json", "model.safetensors"
_ELSEWHERE = {"data_root": "./data", "res_dir": "work_dirs"}


class Program(nn.Module):
    """What is exported: a method with its normalisation, from frames to frames in the unit of the training data.

    ``(B, pre_seq_length, C, H, W)`` -> ``(B, aft_seq_length, C, H, W)``, float32. Statistics are applied in float64,
    as :meth:`Forecaster.predict` does: kelvin in float32 would lose two digits.

    Args:
        method: from :func:`openstl_svq.load`; a copy of it is used, with its codebook folded away.
    """

    def __init__(self, method: nn.Module):
        super().__init__()
        self.method = copy.deepcopy(method).cpu().eval()
        self.method._trainer = None
        fold_codebooks(self.method)
        for module in self.method.modules():
            if hasattr(module, "output_relu") and hasattr(module, "form"):
                module.form = "reference"  # what cannot be folded: one product, where the other form is a loop
        if method.hparams.get("cycle") is not None:
            raise ValueError(
                "a program has no dates, and this model adds a climatology to its forecasts: export safetensors "
                "(openstl_svq.load reads them), or train without anomaly."
            )
        for name, value in (("mean", method.hparams.test_mean), ("std", method.hparams.test_std)):
            self.register_buffer(name, torch.as_tensor(value, dtype=torch.float64).clone())
        self.register_buffer("missing", method.hparams.get("missing"))
        self.frames = method.hparams.aft_seq_length
        self.requires_grad_(False).eval()

    def forward(self, frames: Tensor) -> Tensor:
        normalised = ((frames.double() - self.mean) / self.std).float()
        if self.missing is not None:
            normalised = normalised.masked_fill(self.missing, 0)
        blank = normalised.new_zeros(1).expand(frames.shape[0], self.frames, *frames.shape[2:])
        forecast = (self.method(normalised, blank).double() * self.std + self.mean).float()
        return forecast if self.missing is None else forecast.masked_fill(self.missing, float("nan"))

    def example(self, batch_size: int = 2) -> Tensor:
        """Frames of the right shape: the mean of the training data, disturbed."""
        shape = (batch_size, self.method.hparams.pre_seq_length, *self.method.hparams.in_shape[1:])
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        return (noise * self.std + self.mean).float()


def export_torch(program: Program, path: Path) -> None:
    """Writes a ``torch.export`` program: ``torch.export.load(path).module()(frames)``, any batch size.

    Channels-last weights, as those of an accelerated method, stay so, and its maps with them.
    """
    exported = torch.export.export(
        program, (program.example(),), dynamic_shapes=({0: torch.export.Dim("batch")},), strict=False
    )
    with replacing(path) as partial, warnings.catch_warnings():
        # Said of channels-last weights; it concerns those that are not on the CPU, and these are.
        warnings.filterwarnings("ignore", message="No complete tensor found in the group")
        torch.export.save(exported, partial)


def export_onnx(program: Program, path: Path) -> None:
    """Writes an ONNX model with the input ``frames`` and the output ``forecast``, any batch size.

    Raises:
        ImportError: onnx or onnxscript is missing.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(f"ONNX needs {error.name}: pip install 'openstl_svq[export]'") from error
    with replacing(path) as partial:
        torch.onnx.export(
            program,
            (program.example(),),
            str(partial),
            dynamo=True,
            external_data=False,
            input_names=["frames"],
            output_names=["forecast"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )


def export_weights(method: nn.Module, folder: Path, *, fold: bool = True) -> None:
    """Writes ``model.safetensors`` and ``card.json`` to ``folder``, from which :func:`openstl_svq.load` builds the method.

    Args:
        fold: without the codebook. The forecasts are the same; codes and weights of them are gone.

    """
    from safetensors.torch import save_file

    from ..training import checkpoint

    method = copy.deepcopy(method)
    folded = bool(fold and fold_codebooks(method)) or getattr(method, "folded", False)
    hparams = method.hparams
    card = {
        "openstl_svq": __version__,
        # Where the data and the runs lay is nobody else's business.
        "config": checkpoint.saved_config({"hyper_parameters": dict(method.hparams)}) | _ELSEWHERE,
        "folded": folded,
        "normalisation": {
            "mean": torch.as_tensor(method.hparams.test_mean).tolist(),
            "std": torch.as_tensor(method.hparams.test_std).tolist(),
        },
        "points": {key: _listed(hparams[key]) for key in ("missing", "cycle") if hparams.get(key) is not None},
        "trained_on": hparams.get("trained_on") or {},
        "steps_per_epoch": hparams.get("steps_per_epoch"),
        "test": scores_of(method),
        "weights": WEIGHTS,
    }
    tensors = {
        key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, value in method.state_dict().items()
    }
    with replacing(folder / WEIGHTS) as partial:
        save_file(tensors, partial)
    write_text(folder / CARD, json.dumps(card, indent=1, allow_nan=False) + "\n")


def scores_of(method: nn.Module) -> dict | None:
    """``scores`` and ``provenance`` of the run that ``method`` was loaded from, or of its export; None where it was not
    tested."""
    folder = Path(str(method.hparams.get("save_dir") or "."))
    try:
        if (folder / CARD).is_file():
            return json.loads((folder / CARD).read_text(encoding="utf-8")).get("test")
        record = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        provenance = {key: value for key, value in record["provenance"].items() if key != "checkpoint"}
        return {"scores": record["scores"], "provenance": provenance, "units": record.get("units")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _listed(value):
    """Tensors as lists, for JSON."""
    if isinstance(value, dict):
        return {key: _listed(entry) for key, entry in value.items()}
    return value.tolist() if torch.is_tensor(value) else value


def _points(saved: dict) -> dict:
    """``missing`` and ``cycle``, as they were before :func:`_listed`."""
    points = dict(saved)
    if "missing" in points:
        points["missing"] = torch.tensor(points["missing"], dtype=torch.bool)
    if "cycle" in points:
        kinds = {"groups": torch.int64, "means": torch.float32}
        points["cycle"] |= {key: torch.tensor(points["cycle"][key], dtype=kind) for key, kind in kinds.items()}
    return points


def is_export(path: str | os.PathLike) -> bool:
    """Whether ``path`` is what :func:`export_weights` wrote: the weights, the card or their folder."""
    path = Path(path)
    return path.name in (CARD, WEIGHTS) or (path / CARD).is_file()


def load_export(path: str | os.PathLike) -> tuple[Path, dict]:
    """The weights file, and what a checkpoint would hold: ``state_dict``, ``hyper_parameters``, ``folded``.

    Raises:
        FileNotFoundError: the card or the weights are missing.
        ValueError: they cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(path)
    folder = path if path.is_dir() else path.parent
    for name in (CARD, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name} does not exist; an export is the two files {CARD} and {WEIGHTS}.")
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        config, normalisation = card["config"], card["normalisation"]
        statistics = {f"test_{key}": torch.tensor(normalisation[key], dtype=torch.float64) for key in ("mean", "std")}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / CARD} is no card of an export: {error!r}. Export the run again.") from error
    try:
        tensors = load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise ValueError(f"{folder / WEIGHTS} is damaged: {error}. Export the run again.") from error
    hparams = {
        **config,
        **statistics,
        **_points(card.get("points") or {}),
        "steps_per_epoch": card.get("steps_per_epoch"),
        "save_dir": str(folder),
        "trained_on": card.get("trained_on") or {},
    }
    return folder / WEIGHTS, {"state_dict": tensors, "hyper_parameters": hparams, "folded": card.get("folded", False)}


FORMATS: dict[str, tuple[str, Callable]] = {
    "torch": ("model.pt2", lambda method, folder, keep: export_torch(Program(method), folder / "model.pt2")),
    "onnx": ("model.onnx", lambda method, folder, keep: export_onnx(Program(method), folder / "model.onnx")),
    "safetensors": (WEIGHTS, lambda method, folder, keep: export_weights(method, folder, fold=not keep)),
}


def export(
    method: nn.Module,
    folder: str | os.PathLike,
    formats: Iterable[str] = tuple(FORMATS),
    *,
    keep_codebook: bool = False,
) -> dict[str, Path]:
    """Writes ``method`` in each of ``formats`` to ``folder`` and returns the files by format.

    Args:
        method: from :func:`openstl_svq.load`; a torch program computes in its precision.
        formats: of ``FORMATS``.
        keep_codebook: the safetensors weights keep the codebook, for looking at codes; programs never have it.

    Raises:
        ValueError: an unknown format, or ONNX of a method in bfloat16.
        ImportError: a package of the extra ``export`` is missing.
    """
    folder = Path(folder)
    formats = [choose("format", name, FORMATS) for name in formats]
    if "onnx" in formats and method.precision != "32":
        raise ValueError(
            f"onnxruntime has no convolutions in bfloat16: with precision {method.precision} leave onnx out of the formats."
        )
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name in formats:
        file, write = FORMATS[name]
        write(method, folder, keep_codebook)
        files[name] = folder / file
    return files
