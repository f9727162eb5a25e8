"""The numbers that the paper prints, as data.

``paper.csv`` holds Tables 1 to 8 and 12 to 15 of "A Differentiable Sparse Vector Quantization (SVQ) for Spatio-Temporal
Forecasting", a value a row, with the paper's labels: the table, the group (dataset and variable), the row, the variant
(a column such as "w SVQ"; empty where the table has none), the metric, and the value as printed. What a table repeats
as an improvement is left out, and so is one entry that can only be a misprint: PredNet's FLOPs on KittiCaltech in
Table 12, which read "12.5M", the number of its parameters.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

FILE = Path(__file__).with_name("paper.csv")


def published(table: str | None = None) -> pd.DataFrame:
    """What the paper prints: columns ``table, group, row, variant, metric, value``.

    Args:
        table: ``"3"``; by default all of them.
    """
    import pandas as pd

    values = pd.read_csv(FILE, dtype={"table": str}, keep_default_na=False)
    return values if table is None else values[values["table"] == str(table)].reset_index(drop=True)
