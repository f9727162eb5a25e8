"""The recipes of CONTRIBUTING.md: each file, imported as somebody's plug-in, adds what it says, and it works."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RECIPES = dict(
    re.findall(
        r"^## An? (\w+)\n.*?```python\n(.*?)```",
        (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
)

USES = {
    "quantizer": """
import torch
from openstl_svq.quantizers import build_quantizer, list_quantizers
z = torch.randn(2, 4, 3, 3)
assert "halve" in list_quantizers() and torch.equal(build_quantizer("halve", 4)(z).quantized, z / 2)
""",
    "dataset": """
import numpy as np
from openstl_svq.data import list_datasets, load_data
assert "ramp" in list_datasets()
train, validation, test = load_data("ramp", 8, 8, 0, ".")
assert [len(d.dataset) for d in (train, validation, test)] == [113, 33, 33]
x, y = test.dataset[0]
assert np.allclose((y[:, 0, 0, 0] * 35 + 60).numpy(), [164, 165, 166, 167])
""",
    "method": """
from openstl_svq.methods import get_method, list_methods
assert "persistence_net" in list_methods() and "gain" in get_method("persistence_net").keys
""",
    "metric": """
import torch
from openstl_svq.metrics import ForecastMetrics, list_metrics
assert "bias" in list_metrics()
scores = ForecastMetrics(["bias"], std=2.0)
true = torch.zeros(3, 2, 1, 4, 4)
scores.update(true + 0.5, true)
assert abs(float(scores.compute()["bias"]) - 1.0) < 1e-6
""",
    "figure": """
import numpy as np
from openstl_svq.figures import list_figures
assert "histogram" in list_figures() and len(plot_histogram(np.arange(9.0)).axes[0].patches) == 50
""",
}


def test_there_are_five_recipes():
    assert set(RECIPES) == set(USES)


@pytest.mark.parametrize("kind", sorted(USES))
def test_a_recipe_works(kind):
    """In a process of its own: what it registers stays there."""
    done = subprocess.run(
        [sys.executable, "-c", RECIPES[kind] + USES[kind]], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


def test_dataset_method_and_metric_train_together(tmp_path):
    """Three recipes in one configuration file, through the command line."""
    recipes = [RECIPES[kind] for kind in ("dataset", "method", "metric")]
    (tmp_path / "mine.py").write_text("\n\n".join([*recipes, "metrics = ['mse', 'bias']\n"]))
    words = ["tools/train.py", "-d", "ramp", "-m", "persistence_net", "-c", str(tmp_path / "mine.py"), "--epoch", "1"]
    words += ["--num_workers", "0", "--res_dir", str(tmp_path), "--ex_name", "run", "--accelerator", "cpu"]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "bias" in (tmp_path / "run" / "metrics.json").read_text()
