"""What a trained model weighs as a file of each kind, and what its forecast takes from it."""

import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

import openstl_svq

from ..acceleration import keep_freed_memory
from ..methods import get_method
from ..predict.export import FORMATS, export
from ..timing import get_clock, paired_ratio, time_in_turn
from ..training import checkpoint
from . import Progress, register_benchmark
from .acceleration import each_with_its_memory
from .step import WEATHER_S, Backbone, size_of
from .tables import Table, megabytes, milliseconds

_PLAIN, _WEIGHTS_BF16, _TORCH_BF16 = "checkpoint, plain", "safetensors, bf16-mixed", "torch, bf16-mixed"
_BATCHES = (1, 16)
_MEAN, _STD = 280.0, 15.0  # kelvin


@register_benchmark("export", "size and forecasts of an exported model against the checkpoint's")
def export_table(
    backbone: Backbone = WEATHER_S,
    codebook_size: int = 10_000,
    rounds: int = 7,
    clock: str = "wall",
    *,
    device: str = "cpu",
    progress: Progress = None,
) -> Table:
    """SimVP with SVQ, as a run saves it and as ``tools/export.py`` does: size of the file, and forecasts from it.

    Frames are in the data's unit, so each form normalises them and undoes it. ONNX runs in onnxruntime, with torch's number
    of threads. Forecasts run on the CPU.

    Args:
        clock: wall, or processor on a machine that others use too.

    Raises:
        ImportError: a package of the extra ``export`` is missing.
        ValueError: another device than the CPU.
    """
    if torch.device(device).type != "cpu":
        raise ValueError(f"--device {device}: exported forecasts are timed on the CPU; leave the flag out.")
    backbone = {**WEATHER_S, **backbone}
    steps, *frame = backbone["in_shape"]
    with tempfile.TemporaryDirectory() as folder:
        path = _untrained(backbone, codebook_size, Path(folder) / "model.ckpt")
        plain = openstl_svq.load(path, plain=True)
        files = export(openstl_svq.load(path), folder, FORMATS)
        bf16 = openstl_svq.load(folder, precision="bf16-mixed")
        files[_WEIGHTS_BF16] = files["safetensors"]
        files[_TORCH_BF16] = export(bf16, Path(folder) / "bf16", ["torch"])["torch"]
        calls = {
            _PLAIN: plain.predict,
            "checkpoint": openstl_svq.load(path, fold=True).predict,
            "safetensors": openstl_svq.load(folder).predict,
            _WEIGHTS_BF16: bf16.predict,
            "torch": torch.export.load(files["torch"]).module(),
            _TORCH_BF16: torch.export.load(files[_TORCH_BF16]).module(),
            "onnx": _onnx_session(files["onnx"]),
        }
        rows: list[dict[str, Any]] = [{"form": name, "bytes": files.get(name, path).stat().st_size} for name in calls]
        for size in _BATCHES:
            noise = torch.randn(size, steps, *frame, generator=torch.Generator().manual_seed(0))
            frames = _MEAN + _STD * noise
            timed = each_with_its_memory({name: partial(call, frames) for name, call in calls.items()}, _PLAIN)
            said = progress and (lambda what, size=size: progress(f"batch {size}, {what}"))
            with torch.inference_mode():
                seconds = time_in_turn(timed, rounds, progress=said, clock=get_clock(clock))
            for row in rows:
                ratio = paired_ratio(seconds[row["form"]], seconds[_PLAIN])
                row |= {
                    f"seconds_{size}": statistics.median(seconds[row["form"]]),
                    f"ratio_{size}": ratio.median,
                    f"text_{size}": str(ratio),
                }
    keep_freed_memory(False)
    columns: dict = {"form": "File", "bytes": ("Size", megabytes)}
    for size in _BATCHES:
        what = "Forecast" if size == 1 else f"{size} forecasts"
        columns |= {f"seconds_{size}": (what, milliseconds), f"text_{size}": "against plain"}
    return Table(
        columns,
        rows,
        f"Exported: SimVP+SVQ on {size_of(backbone)}, {codebook_size:,} codes",
        [
            f"Forecasts of {steps} frames in the data's unit; {rounds} rounds in turn, paired, with a 95 % interval. Time: {clock}.",
            "torch: torch.export; onnx: onnxruntime. The codebook is folded away but in the plain checkpoint.",
        ],
    )


def _untrained(backbone: Backbone, codebook_size: int, path: Path) -> Path:
    """A checkpoint of the weights that a training would begin with."""
    torch.manual_seed(0)
    steps = backbone["in_shape"][0]
    config = {
        **backbone,
        "method": "simvp_svq",
        "dataname": "custom",
        "pre_seq_length": steps,
        "aft_seq_length": steps,
        "loss": "mae",
        "quantizer": "svq",
        "quantizer_kwargs": {"codebook_size": codebook_size},
        "protocol": "strict",
        "test_mean": _MEAN,
        "test_std": _STD,
    }
    state = get_method("simvp_svq").cls(**config).state_dict()
    checkpoint.save({"state_dict": state, "hyper_parameters": config}, path)
    return path


def _onnx_session(path: Path) -> Callable[[torch.Tensor], Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda frames: session.run(["forecast"], {"frames": frames.numpy()})
