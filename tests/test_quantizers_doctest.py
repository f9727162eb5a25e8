"""The examples in the docstrings run."""

import doctest
import importlib
import pkgutil

import pytest
import torch

from openstl_svq import quantizers

MODULES = [module.name for module in pkgutil.iter_modules(quantizers.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    module = importlib.import_module(f"{quantizers.__name__}.{name}")
    failed, _ = doctest.testmod(module, extraglobs={"torch": torch})
    assert not failed


def test_svq_has_one():
    assert doctest.testmod(quantizers.svq).attempted
