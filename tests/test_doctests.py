"""The examples in all docstrings run."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest
import torch

import openstl_svq

MODULES = [openstl_svq.__name__] + [
    module.name for module in pkgutil.walk_packages(openstl_svq.__path__, f"{openstl_svq.__name__}.")
]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    tests = doctest.DocTestFinder().find(importlib.import_module(name), name, extraglobs={"torch": torch, "np": np})
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in tests:
        assert not runner.run(test).failed, f"{test.name}: run python -m doctest on it"


@pytest.mark.parametrize("module", ["quantizers.svq", "metrics.forecast", "metrics.report"])
def test_the_main_classes_show_an_example(module):
    """An example that no longer is found would pass unseen."""
    found = doctest.DocTestFinder().find(importlib.import_module(f"openstl_svq.{module}"))
    assert any(test.examples for test in found)
