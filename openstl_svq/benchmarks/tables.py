"""Tables of measurements: Markdown to read, CSV and JSON to go on with, and where the numbers come from."""

import csv
import io
import json
import math
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Table:
    """Rows of named values.

    Args:
        columns: key of a row -> heading, or (heading, format of the value in Markdown).
        rows: dictionaries; a missing value or None shows as a dash. CSV and JSON keep the values as they are.
        title, notes: above and below the Markdown table.
    """

    columns: dict[str, str | tuple[str, str | Callable]]
    rows: list[dict]
    title: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def heads(self) -> list[str]:
        return [c if isinstance(c, str) else c[0] for c in self.columns.values()]

    @property
    def cells(self) -> list[list[str]]:
        """The rows as text."""
        return [[self._cell(row.get(k), column) for k, column in self.columns.items()] for row in self.rows]

    @property
    def right(self) -> list[bool]:
        """Whether a column is one of numbers."""
        return [all(_is_number(row.get(key)) for row in self.rows) for key in self.columns]

    def markdown(self) -> str:
        cells, right = [self.heads, *self.cells], self.right
        widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(self.heads))]

        def line(row):
            return "| " + " | ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right)) + " |"

        rule = "|" + "|".join("-" * (w + 1) + (":" if r else "-") for w, r in zip(widths, right)) + "|"
        lines = [line(cells[0]), rule, *map(line, cells[1:])]
        return "\n".join(
            ([f"**{self.title}**", ""] if self.title else [])
            + lines
            + ["", *(f"- {note}" for note in self.notes)] * bool(self.notes)
        )

    @staticmethod
    def _cell(value, column) -> str:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return "–"
        form = "" if isinstance(column, str) else column[1]
        if isinstance(value, str):
            return value
        return form(value) if callable(form) else format(value, form)

    def csv(self) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.columns), extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()

    def json(self, **more) -> str:
        """The title, notes and rows with all their values, and ``more`` beside them."""
        return json.dumps({"title": self.title, **more, "notes": self.notes, "rows": self.rows}, indent=1) + "\n"


def _is_number(value) -> bool:
    return value is None or isinstance(value, (int, float))


def provenance(device: str = "cpu") -> dict:
    """Versions, machine and threads that a measurement depends on."""
    import torch

    from .. import __version__
    from ..host import describe

    device = torch.device(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "openstl_svq": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "host": f"{describe().name} {describe().version}",
        "device": f"{device} ({name})",
        "threads": torch.get_num_threads(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def giga(value: float) -> str:
    return f"{value / 1e9:.3f}G"


def mega(value: float) -> str:
    return f"{value / 1e6:.2f}M"


def mebibytes(value: float) -> str:
    return f"{value / 2**20:,.0f} MiB"


def megabytes(value: float) -> str:
    return f"{value / 1e6:,.1f} MB"


def microseconds(value: float) -> str:
    return f"{value * 1e6:,.0f} \N{MICRO SIGN}s"


def milliseconds(value: float) -> str:
    return f"{value * 1e3:,.1f} ms"


def times(value: float) -> str:
    return f"{value:.2f}x"
