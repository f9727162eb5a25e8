"""Parameters and FLOPs of the methods that SVQ is compared with (Table 12)."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from ..config_file import load_config
from ..methods import get_method
from ..models.cost import ModelCost, model_cost
from ..naming import accepted, choose
from . import Progress, register_benchmark
from .backbones import CONFIGS, agrees
from .tables import Table, giga, mega


class Row(NamedTuple):
    """A cell of Table 12: ``config`` is the method's, ``frames`` how many of them OpenSTL's count runs over."""

    method: str
    label: str
    dataname: str
    config: str
    frames: int
    frame: tuple[int, int, int]
    printed: tuple[str, str]  # parameters, FLOPs


_T2M, _TAXIBJ, _HUMAN, _KTH, _KITTI = (1, 32, 64), (2, 32, 32), (3, 256, 256), (1, 128, 128), (3, 128, 160)
ROWS = (
    Row("tau", "WeatherBench-S t2m", "weather_t2m_5_625", "weather/t2m_5_625/TAU.py", 12, _T2M, ("12.22M", "6.70G")),
    Row("tau", "TaxiBJ", "taxibj", "taxibj/TAU.py", 4, _TAXIBJ, ("9.55M", "2.49G")),
    Row("tau", "Human3.6M", "human", "human/TAU.py", 4, _HUMAN, ("37.6M", "182.0G")),
    Row("tau", "KTH", "kth", "kth/TAU.py", 10, _KTH, ("15.0M", "73.8G")),
    Row("tau", "KittiCaltech", "kitticaltech", "kitticaltech/TAU.py", 10, _KITTI, ("44.7M", "80.0G")),
    Row("prednet", "TaxiBJ", "taxibj", "taxibj/PredNet.py", 4, _TAXIBJ, ("12.5M", "0.85G")),
    Row("prednet", "Human3.6M", "human", "human/PredNet.py", 1, _HUMAN, ("12.5M", "13.7G")),
    Row("prednet", "KTH", "kth", "kth/PredNet.py", 1, _KTH, ("12.5M", "3.4G")),
    Row("prednet", "KittiCaltech", "kitticaltech", "kitticaltech/PredNet.py", 10, _KITTI, ("12.5M", "42.8G")),
    Row("dmvfn", "TaxiBJ", "taxibj", "taxibj/DMVFN.py", 2, _TAXIBJ, ("3.54M", "0.057G")),
    Row("dmvfn", "KTH", "kth", "kth/DMVFN.py", 2, _KTH, ("3.5M", "0.88G")),
    Row("dmvfn", "KittiCaltech", "kitticaltech", "kitticaltech/DMVFN.py", 2, _KITTI, ("3.6M", "1.2G")),
)
_NOTES = (
    "Multiply-adds at batch 1, counted by fvcore, of what OpenSTL's published tables count: TAU's forecast; PredNet over "
    "so many known frames (a forecast runs over all known and all forecast ones); every block of DMVFN once (a forecast "
    "runs about half of them for each frame).",
    "PredNet on KittiCaltech: Table 12 prints the parameters twice; 42.8G is OpenSTL's.",
)


class _Counted(nn.Module):
    """``model`` with ``run(model, x)`` for its forward pass."""

    def __init__(self, model: nn.Module, run: Callable[[nn.Module, Tensor], Tensor]):
        super().__init__()
        self.model, self.run = model, run

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self.model, x)


_RUNS: dict[str, Callable] = {
    "prednet": lambda model, x: model.errors(x),
    "dmvfn": lambda model, x: model.refinements(x[:, -2], x[:, -1]),
}


def method_cost(row: Row, configs: Path = CONFIGS) -> ModelCost:
    """Of a cell of Table 12, as its notes say."""
    network = get_method(row.method).model_cls
    settings = {**load_config(configs / row.config), "in_shape": (max(2, row.frames), *row.frame)}
    model = network(**accepted(network, settings))
    run = _RUNS.get(row.method, lambda model, x: model(x))
    return model_cost(_Counted(model, run), (row.frames, *row.frame))


@register_benchmark("methods_cost", "parameters and FLOPs of the methods beside SimVP: Table 12")
def methods_cost_table(
    dataname: Sequence[str] = (), method: Sequence[str] = (), configs: Path = CONFIGS, *, progress: Progress = None
) -> Table:
    """Table 12's other methods: what is measured beside what is printed.

    Args:
        dataname, method: those to count; all by default.
        configs: the folder ``configs`` of the project.
    """
    for what, names, known in (
        ("dataset", dataname, [row.dataname for row in ROWS]),
        ("method", method, [row.method for row in ROWS]),
    ):
        for name in names:
            choose(f"{what} of the table", name, dict.fromkeys(known))
    rows = []
    for row in ROWS:
        if (dataname and row.dataname not in dataname) or (method and row.method not in method):
            continue
        if progress:
            progress(f"{row.method}, {row.label}")
        cost = method_cost(row, configs)
        apart = [
            w
            for w, v, text in zip(("parameters", "FLOPs"), (cost.params, cost.flops), row.printed)
            if not agrees(v, text)
        ]
        rows.append(
            {
                "method": row.method,
                "dataset": row.label,
                "frames": row.frames,
                "params": cost.params,
                "flops": cost.flops,
                "printed": " / ".join(row.printed),
                "agrees": f"all but {', '.join(apart)}" if apart else "yes",
            }
        )
    columns: dict = {"method": "Method", "dataset": "Dataset", "frames": "Frames", "params": ("Parameters", mega)}
    columns |= {"flops": ("FLOPs", giga), "printed": "printed", "agrees": "agrees"}
    return Table(columns, rows, "Parameters and FLOPs of other methods (Table 12)", list(_NOTES))
