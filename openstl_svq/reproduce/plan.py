"""What a table or a figure of the paper is made of: which configuration is trained on which dataset for each of its cells.

A plan is a file ``configs/paper/table_<name>.py`` or ``figure_<name>.py`` with

- ``title``, ``metrics``;
- ``groups``: label -> ``dataset``, ``configs`` (the folder that ``rows`` speak of), and where it is needed
  ``translator`` (what ``{translator}`` stands for), ``variable`` (of a dataset that is scored by variable), and
  ``without`` (rows that the paper does not have there);
- ``rows``: label -> configuration file, or variant -> configuration file; after the file may stand ``KEY=VALUE`` of
  ``--cfg_options``;
- ``baseline``: ``{"row": ...}`` or ``{"variant": ...}``, what improvements are measured against;
- ``counted``: True for a table of parameters and FLOPs, for which nothing is trained;
- ``sample``: variants that ``--scale sample`` runs, if not all of them;
- ``figures``: of a figure, the names among those of ``tools/analyse.py`` that draw it from the runs.
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
        options: ``KEY=VALUE`` that ``config`` is changed by.
    """

    group: str
    row: str
    variant: str
    dataset: str
    config: Path
    metrics: dict[str, str]
    options: tuple[str, ...] = ()

    @property
    def place(self) -> tuple[str, str, str]:
        return self.group, self.row, self.variant


@dataclass(frozen=True)
class Plan:
    """A table or a figure.

    Attributes:
        kind: ``table`` or ``figure``.
        name: its number.
        metrics: columns of scores.
        baseline: what improvements are measured against; a figure has none.
        counted: whether its numbers are counted, not trained.
        figures: that draw it.
        sample: variants that are run on sample data; all if empty.
    """

    kind: str
    name: str
    title: str
    metrics: list[str]
    baseline: dict[str, str]
    cells: list[Cell]
    counted: bool = False
    figures: tuple[str, ...] = ()
    sample: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind.capitalize()} {self.name}: {self.title}"

    def partner(self, cell: Cell) -> Cell | None:
        """The baseline's cell for ``cell``; ``None`` for the baseline itself, and where the plan has none."""
        if not self.baseline:
            return None
        wanted = {"group": cell.group, "row": cell.row, "variant": cell.variant, **self.baseline}
        found = next((c for c in self.cells if c.place == tuple(wanted.values())), None)
        return None if found is cell else found


def list_plans(kind: str = "table", folder: Path = CONFIGS / "paper") -> list[str]:
    """Names of the tables, or of the figures, that there are plans for."""
    names = [path.stem.removeprefix(f"{kind}_") for path in folder.glob(f"{kind}_*.py")]
    return sorted(names, key=lambda name: (not name.isdigit(), name.zfill(3)))


def load_plan(name: str, kind: str = "table", folder: Path = CONFIGS / "paper") -> Plan:
    """The plan of a table or a figure.

    Raises:
        ValueError: there is none; it names a configuration that is not there, or a baseline that is no cell.
    """
    choose(kind, name, list_plans(kind, folder))
    content = load_config(folder / f"{kind}_{name}.py")
    cells = list(_cells(content, folder.parent))
    if missing := [str(cell.config) for cell in cells if not cell.config.is_file()]:
        raise ValueError(f"the plan of {kind} {name} names configurations that are not there: {', '.join(missing)}.")
    plan = Plan(
        kind,
        name,
        content["title"],
        content["metrics"],
        content.get("baseline", {}),
        cells,
        content.get("counted", False),
        tuple(content.get("figures", ())),
        tuple(content.get("sample", ())),
    )
    if plan.baseline and not any(plan.partner(cell) for cell in cells):
        raise ValueError(f"the plan of {kind} {name} has the baseline {plan.baseline}, which is none of its cells.")
    return plan


def _cells(content: dict, configs: Path) -> Iterator[Cell]:
    for group, data in content["groups"].items():
        variable = data.get("variable")
        metrics = {name: f"{name}_{variable}" if variable else name for name in content["metrics"]}
        for row, files in content["rows"].items():
            if row in data.get("without", ()):
                continue
            for variant, text in ({"": files} if isinstance(files, str) else files).items():
                file, *options = text.split()
                path = configs / data["configs"] / f"{file.format(**data)}.py"
                yield Cell(group, row, variant, data["dataset"], path, metrics, tuple(options))
