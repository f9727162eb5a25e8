"""The notebooks of examples/ run, and what is stored in them is what they give."""

import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def kinds(notebook):
    """Of each code cell: whether its results are text or pictures. What a run says while it goes on is left out."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    results = [[output.data for output in cell.outputs if "data" in output] for cell in cells]
    return [sorted(kind for data in found for kind in {"image/png", "text/plain"} & data.keys()) for found in results]


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in NOTEBOOKS])
def test_a_notebook_runs_and_its_stored_output_is_not_stale(path, monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    stored = nbformat.read(path, as_version=4)
    assert path.stat().st_size < 500_000 and "image/png" in {kind for found in kinds(stored) for kind in found}
    assert not any(output.output_type == "error" for cell in stored.cells for output in cell.get("outputs", []))
    fresh = nbformat.read(path, as_version=4)
    settings = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(fresh, timeout=500, kernel_name="python3", resources=settings).execute()
    assert kinds(fresh) == kinds(stored), f"run it again: jupyter execute --inplace {path.relative_to(ROOT)}"


def test_there_are_two():
    assert [path.stem for path in NOTEBOOKS] == ["own_data", "quickstart"]
