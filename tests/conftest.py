"""Suite-wide settings: markers, and one CPU thread so that results do not depend on the machine."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))  # tests import `comparison` and each other's builders by name

MARKERS = {
    "gpu": "needs an NVIDIA GPU",
    "network": "needs the internet",
    "openstl": "needs the real OpenSTL, installed from its git repository",
}


def pytest_configure(config):
    for name, why in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {why}")
    torch.set_num_threads(1)


def _real_openstl():
    """The mesh library that PyPI calls openstl has no `methods` package."""
    try:
        return importlib.util.find_spec("openstl.methods") is not None
    except ImportError:
        return False


def pytest_collection_modifyitems(items):
    missing = {
        "gpu": not torch.cuda.is_available(),
        "network": not os.environ.get("OPENSTL_SVQ_TEST_NETWORK"),
        "openstl": not _real_openstl(),
    }
    for item in items:
        for name, absent in missing.items():
            if absent and item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=MARKERS[name]))
