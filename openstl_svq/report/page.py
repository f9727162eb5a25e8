"""The page: its parts, put into ``page.html``."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import __version__
from ..benchmarks.tables import Table
from ..files import write_text
from ..sweep.results import FILE

TEMPLATE = "page.html"
_SCREEN = 96 / 150  # pixels of a page in an inch / those of the figures


@dataclass(frozen=True)
class Picture:
    """A PNG that lies in the page."""

    content: bytes
    caption: str

    @property
    def address(self) -> str:
        return "data:image/png;base64," + base64.b64encode(self.content).decode("ascii")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height on a screen, at which type has the size that it has in print."""
        width, height = (int.from_bytes(self.content[i : i + 4], "big") for i in (16, 20))
        return round(width * _SCREEN), round(height * _SCREEN)

    @property
    def wide(self) -> bool:
        """Whether a narrow screen shows it in a frame that scrolls, where it could not be read when shrunk."""
        width, height = self.size
        return width > 1.6 * height


@dataclass
class Section:
    """A heading and what stands below it, in this order.

    Attributes:
        lines: paragraphs.
        tables: a table with a title that is not empty is folded up.
        pictures: below the tables.
        listing: text as it is, folded up.
    """

    title: str
    lines: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    listing: str = ""


@dataclass
class Page:
    """What a report says."""

    title: str
    summary: str
    sections: list[Section]


def write_report(folder: str | os.PathLike, path: str | os.PathLike | None = None) -> Path:
    """Writes one HTML file about a run, a sweep, or a table of the paper, with its pictures in it; opens anywhere.

    Args:
        folder: of a run, or of a sweep. What is there is shown: scores, tables, and the pictures that training,
            ``tools/sweep.py`` and ``tools/analyse.py`` left.
        path: of the page; by default ``report.html`` in ``folder``.

    Raises:
        FileNotFoundError, ValueError: no such folder, or one that holds neither.
    """
    import jinja2

    from .run import page_of_run
    from .sweep import page_of_sweep

    folder = Path(folder)
    path = Path(path) if path is not None else folder / "report.html"
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder. Give that of a run or of a sweep.")
    is_run = (folder / "config.py").is_file()
    if not is_run and not (folder / FILE).is_file() and not any(folder.glob("*/metrics.json")):
        raise ValueError(
            f"{folder} is neither the folder of a run (config.py is not there) nor of a sweep ({FILE} is not there, and no "
            "finished run)."
        )
    page = page_of_run(folder) if is_run else page_of_sweep(folder)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__, ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    write_text(path, environment.get_template(TEMPLATE).render(page=page, version=__version__))
    return path


def pairs(values: Mapping[str, object], title: str = "") -> Table:
    """A table of names and values; those that are None or empty are left out."""
    rows = [{"name": name, "value": str(value)} for name, value in values.items() if value not in (None, "")]
    return Table({"name": "", "value": ""}, rows, title)


def duration(seconds: float) -> str:
    """``seconds`` as people say them.

    >>> duration(42), duration(3725), duration(200000)
    ('42 s', '1 h 02 min', '55 h 33 min')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60:02} min"


def size(count: float) -> str:
    """A number of bytes.

    >>> size(2_345_678)
    '2.3 MB'
    """
    names = ("bytes", "kB", "MB", "GB", "TB")
    power = min(len(f"{int(count)}") - 1, 3 * len(names) - 1) // 3
    return f"{count / 1000**power:.{min(power, 1)}f} {names[power]}"


def number(count: float) -> str:
    """A large number.

    >>> number(62_300), number(3_450_000_000)
    ('62.3 thousand', '3.45 billion')
    """
    for power, name in ((9, " billion"), (6, " million"), (3, " thousand")):
        if count >= 10**power:
            return f"{count / 10**power:.3g}{name}"
    return f"{count:.3g}"


def costs(row: Mapping[str, Any]) -> dict[str, str]:
    """What :data:`openstl_svq.sweep.results.COSTS` of a run say."""
    said = {
        "parameters": ("parameters", number),
        "flops": ("multiply-adds of a forecast", number),
        "train_seconds": ("training", duration),
        "peak_gpu_memory": ("largest GPU memory", size),
        "frames_per_second": ("forecast frames a second", lambda v: f"{v:.3g}"),
    }
    return {name: form(row[key]) for key, (name, form) in said.items() if row.get(key) is not None}


def pictures_of(paths: Iterable[Path], captions: dict[str, str]) -> list[Picture]:
    """Those of ``paths`` that are there; the caption is that of the file's stem, or of the longest name it begins with."""
    found = []
    for path in paths:
        if path.is_file() and (content := path.read_bytes()).startswith(b"\x89PNG"):
            names = [name for name in captions if path.stem == name or path.stem.startswith(f"{name}_")]
            name = max(names, key=len, default="")
            of = path.stem.removeprefix(name).strip("_")
            found.append(Picture(content, ": ".join(filter(None, (of, captions.get(name, ""))))))
    return found
