"""Names in the host's registries."""

import pytest

from openstl_svq import registry
from openstl_svq.methods import ForecastMethod


def test_names_are_there_and_a_second_registration_changes_nothing():
    registry.register()
    before = dict(registry.method_maps)
    registry.register()
    assert before == dict(registry.method_maps)
    assert set(registry.METHODS) <= set(registry.method_maps)


def test_a_name_of_somebody_else_is_left_to_them(monkeypatch):
    class Foreign:
        pass

    monkeypatch.setitem(registry.method_maps, "simvp_svq", Foreign)
    with pytest.raises(ValueError, match="'simvp_svq' is taken by .*test_registry.*Foreign"):
        registry.register()


def test_a_method_is_extended_once(monkeypatch):
    monkeypatch.setitem(registry.method_maps, "simvp", registry.method_maps["simvp"])
    first = registry.extend("simvp")
    assert registry.extend("simvp") is first and issubclass(first, ForecastMethod)
