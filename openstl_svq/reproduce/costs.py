"""Parameters and FLOPs of a table's cells, as the paper counts them (Table 12): nothing is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..benchmarks.backbones import TABLE_12, model_of, recurrent_cost
from ..benchmarks.methods_cost import ROWS, method_cost
from ..config_file import load_config
from ..models.cost import ModelCost, model_cost
from .plan import Cell, Plan

if TYPE_CHECKING:
    import pandas as pd


def count(plan: Plan, progress: Callable[[str], None]) -> pd.DataFrame:
    """``group, row, variant, metric, seed, value`` of every cell of ``plan``, with its one seed 0."""
    import pandas as pd

    rows = []
    for cell in plan.cells:
        progress(f"counting {cell.row}, {cell.group}")
        cost = _cost(cell)
        values = {"params_m": cost.params / 1e6, "flops_g": cost.flops / 1e9}
        rows += [(*cell.place, metric, 0, values[name]) for metric, name in cell.metrics.items()]
    return pd.DataFrame(rows, columns=["group", "row", "variant", "metric", "seed", "value"])


def _cost(cell: Cell) -> ModelCost:
    """SVQ is counted in its reference form, as in the paper."""
    config = load_config(cell.config)
    others = {(row.dataname, Path(row.config).stem): row for row in ROWS}
    if row := others.get((cell.dataset, cell.config.stem)):
        return method_cost(row)
    backbone = TABLE_12[cell.dataset]
    if "model_type" not in config:
        return recurrent_cost(config, backbone)
    kind = "reference" if "quantizer" in config else "simvp"
    return model_cost(model_of(config, backbone.in_shape, kind), backbone.in_shape)
