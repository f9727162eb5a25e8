"""What a table of the paper is made of: which configuration is trained on which dataset for each of its cells.

A plan is a file ``configs/paper/table_<name>.py`` with

- ``title``, ``metrics``;
- ``groups``: label -> ``dataset``, ``configs`` (the folder that ``rows`` speak of), and where it is needed
  ``translator`` (what ``{translator}`` stands for), ``variable`` (of a dataset that is scored by variable), and
  ``without`` (rows that the paper does not have there);
- ``rows``: label -> configuration file, or variant -> configuration file;
- ``baseline``: ``{"row": ...}`` or ``{"variant": ...}``, what improvements are measured against.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..config_file import load_config, packaged_configs
from ..naming import choose

CONFIGS = packaged_configs()


@dataclass(frozen=True)
class Cell:
    """One model on one dataset: ``metrics`` of it fill a row of the table.

    Attributes:
        group, row, variant: labels, as the paper prints them.
        dataset: name of the dataset.
        config: configuration file.
        metrics: name in the table -> name among a run's scores.
    """

    group: str
    row: str
    variant: str
    dataset: str
    config: Path
    metrics: dict[str, str]

    @property
    def place(self) -> tuple[str, str, str]:
        return self.group, self.row, self.variant


@dataclass(frozen=True)
class Plan:
    """A table: its ``cells``, its ``metrics``, and the ``baseline`` that improvements are measured against."""

    name: str
    title: str
    metrics: list[str]
    baseline: dict[str, str]
    cells: list[Cell]

    def partner(self, cell: Cell) -> Cell | None:
        """The baseline's cell for ``cell``; ``None`` for the baseline itself, and where the plan has none."""
        wanted = {"group": cell.group, "row": cell.row, "variant": cell.variant, **self.baseline}
        found = next((c for c in self.cells if c.place == tuple(wanted.values())), None)
        return None if found is cell else found


def list_plans(folder: Path = CONFIGS / "paper") -> list[str]:
    """Names of the tables that there are plans for."""
    names = [path.stem.removeprefix("table_") for path in folder.glob("table_*.py")]
    return sorted(names, key=lambda name: (not name.isdigit(), name.zfill(3)))


def load_plan(name: str, folder: Path = CONFIGS / "paper") -> Plan:
    """The plan of table ``name``.

    Raises:
        ValueError: there is no such table; the plan names a configuration that is not there, or a baseline that is no
            cell.
    """
    choose("table", name, list_plans(folder))
    content = load_config(folder / f"table_{name}.py")
    cells = list(_cells(content, folder.parent))
    if missing := [str(cell.config) for cell in cells if not cell.config.is_file()]:
        raise ValueError(f"the plan of table {name} names configurations that are not there: {', '.join(missing)}.")
    plan = Plan(name, content["title"], content["metrics"], content["baseline"], cells)
    if not any(plan.partner(cell) for cell in cells):
        raise ValueError(f"the plan of table {name} has the baseline {plan.baseline}, which is none of its cells.")
    return plan


def _cells(content: dict, configs: Path) -> Iterator[Cell]:
    for group, data in content["groups"].items():
        variable = data.get("variable")
        metrics = {name: f"{name}_{variable}" if variable else name for name in content["metrics"]}
        for row, files in content["rows"].items():
            if row in data.get("without", ()):
                continue
            for variant, file in ({"": files} if isinstance(files, str) else files).items():
                path = configs / data["configs"] / f"{file.format(**data)}.py"
                yield Cell(group, row, variant, data["dataset"], path, metrics)
