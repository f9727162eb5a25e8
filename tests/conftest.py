"""Suite-wide settings: markers, and one CPU thread so that results do not depend on the machine."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))  # tests import `comparison` and each other's builders by name


def pytest_configure():
    torch.set_num_threads(1)


@pytest.fixture
def registries():
    """What a test registers is gone after it, and whenever it calls this."""
    from openstl_svq import plugins
    from openstl_svq.benchmarks import BENCHMARKS
    from openstl_svq.data.registry import DATASETS
    from openstl_svq.host import dataset_parameters, method_maps
    from openstl_svq.methods import all_methods
    from openstl_svq.methods.registry import METHODS
    from openstl_svq.metrics.base import METRICS
    from openstl_svq.quantizers.registry import QUANTIZERS

    BENCHMARKS.load(), METRICS.load(), all_methods()
    held = [r._entries for r in (BENCHMARKS, DATASETS, METHODS, METRICS, QUANTIZERS)]
    held += [dataset_parameters, method_maps, plugins._providers]
    before = [dict(entries) for entries in held]

    def restore():
        for now, then in zip(held, before):
            now.clear()
            now.update(then)

    yield restore
    restore()


def chromium() -> str | None:
    """Where this machine has a Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell")
    return next(filter(None, map(shutil.which, names)), None)


def _real_openstl():
    """The mesh library that PyPI calls openstl has no `methods` package."""
    try:
        return importlib.util.find_spec("openstl.methods") is not None
    except ImportError:
        return False


def pytest_collection_modifyitems(config, items):
    """Skips what needs something that is not here; the markers in pyproject.toml say what that is."""
    there = {
        "browser": chromium() is not None and importlib.util.find_spec("playwright") is not None,
        "gpu": torch.cuda.is_available(),
        "network": bool(os.environ.get("OPENSTL_SVQ_TEST_NETWORK")),
        "openstl": _real_openstl(),
        "slurm": all(map(shutil.which, ("munged", "slurmctld", "slurmd", "sbatch"))),
    }
    reasons = dict(line.split(": ", 1) for line in config.getini("markers") if line.partition(":")[0] in there)
    for item in items:
        for name, present in there.items():
            if not present and item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=reasons[name]))
