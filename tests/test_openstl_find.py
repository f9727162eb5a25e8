"""What answers to the name ``openstl``: nothing, the mesh library, half of OpenSTL, the real one."""

import importlib.metadata
import importlib.util
import sys
import warnings
from types import SimpleNamespace

import pytest
import torch

from openstl_svq.host import fixes
from openstl_svq.host import openstl as host


@pytest.fixture
def install(monkeypatch, tmp_path):
    """``install({"openstl/x.py": "source", ...}, version=...)`` puts a package ``openstl`` in front of any other."""
    for name in [n for n in sys.modules if n.partition(".")[0] == "openstl"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(fixes, "FIXES", ())

    def add(files, metadata=None):
        for name, source in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source)
        if metadata:
            info = tmp_path / "openstl-0.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: openstl\n{metadata}\n")
        monkeypatch.syspath_prepend(tmp_path)

    yield add
    for name in [n for n in sys.modules if n.partition(".")[0] == "openstl"]:
        del sys.modules[name]


def real(version="1.0.0", api="", **more):
    return {
        "openstl/__init__.py": "",
        "openstl/version.py": f"__version__ = '{version}'\n",
        "openstl/api.py": api,
        "openstl/methods/__init__.py": "",
        **more,
    }


def test_not_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert host.find() is None


def test_mesh_library_is_told_by_what_it_lacks_and_not_imported(install):
    install({"openstl.py": "raise RuntimeError('imported')"}, "Version: 4.0.1")
    found = host.find()
    assert (found.kind, found.version) == ("mesh", "4.0.1")
    assert "4.0.1" in found.reason and "3D-mesh" in found.reason


def test_mesh_library_as_a_package(install):
    install({"openstl/__init__.py": "raise RuntimeError('imported')"}, "Version: 2.0")
    assert host.find().kind == "mesh"


def test_real(install, tmp_path):
    install(real(), "Version: 1.0.0")
    found = host.find()
    assert (found.kind, found.version, found.reason) == ("real", "1.0.0", None)
    assert found.path == str(tmp_path / "openstl")


def test_real_names_the_commit_that_pip_recorded(install, tmp_path):
    install(real(), "Version: 1.0.0")
    (tmp_path / "openstl-0.dist-info" / "direct_url.json").write_text(
        '{"url": "https://x/OpenSTL", "vcs_info": {"commit_id": "0123456789abcdef", "vcs": "git"}}'
    )
    assert host.find().version == "1.0.0 (0123456)"


def test_missing_packages_are_all_named_as_pip_knows_them(install):
    install(
        real(api="import cv2_that_is_missing"),
        "Version: 1.0.0\nRequires-Dist: numpy\nRequires-Dist: not-there\nRequires-Dist: not-asked; extra == 'all'",
    )
    found = host.find()
    assert found.kind == "broken"
    assert found.reason.endswith(
        "no module named 'cv2_that_is_missing'; it lacks: pip install cv2_that_is_missing not-there"
    )


def test_missing_module_is_named_as_its_package(install, monkeypatch):
    monkeypatch.setitem(sys.modules, "pywt", None)
    install(real(api="import pywt"))
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: None)
    assert "pip install PyWavelets" in host.find().reason


def test_missing_part_of_openstl_itself(install):
    install(real(api="import openstl.core"))
    assert "its module openstl.core is missing" in host.find().reason
    assert host.INSTALL in host.find().reason


@pytest.mark.parametrize(
    "failure",
    [
        "raise ImportError('libGL.so.1: cannot open shared object file')",
        "import math; math.no_such_name",
        "raise OSError('bad library\\nmore')",
    ],
)
def test_import_that_fails_otherwise_is_one_line(install, failure):
    install(real(api=failure))
    found = host.find()
    assert found.kind == "broken"
    assert "cannot be imported" in found.reason and "\n" not in found.reason


@pytest.mark.parametrize("version", ["0.3.0", "0.1.0"])
def test_older_branch_is_not_imported(install, version):
    install(real(version, api="raise RuntimeError('imported')"))
    found = host.find()
    assert found.kind == "broken"
    assert f"OpenSTL {version}" in found.reason and "OpenSTL-Lightning" in found.reason


def test_unreadable_version_is_broken(install):
    files = real()
    files["openstl/version.py"] = ""
    install(files)
    assert host.find().kind == "broken"


def test_importing_openstl_does_not_silence_warnings(install):
    install(real(api="import warnings; warnings.filterwarnings('ignore')"))
    before = list(warnings.filters)
    assert host.find().kind == "real"
    assert warnings.filters == before


def test_unknown_version_loads_with_one_warning(install):
    names = {
        "openstl/api.py": "BaseExperiment = 1",
        "openstl/core.py": "get_optim_scheduler = metric = 1",
        "openstl/datasets.py": "BaseDataModule, dataset_parameters = 1, {}",
        "openstl/models.py": "SimVP_Model = 1",
        "openstl/methods/__init__.py": "TAU = SimVP = method_maps = 1",
        "openstl/methods/base_method.py": "Base_method = 1",
        "openstl/utils.py": "create_parser = 1",
    }
    install(real("7.0.0", **names))
    with pytest.warns(UserWarning, match="OpenSTL 7.0.0 has not been tested") as caught:
        assert host.load().SimVP_Model == 1
    assert len(caught) == 1


@pytest.fixture
def choose(monkeypatch):
    """``choose("auto", found)``: the host that is chosen where ``find()`` gives ``found``."""
    import openstl_svq.host

    def run(wanted, found):
        monkeypatch.setenv("OPENSTL_SVQ_HOST", wanted)
        monkeypatch.setattr(host, "find", lambda: found)
        monkeypatch.setattr(host, "load", lambda: SimpleNamespace(loaded=True))
        return openstl_svq.host._choose()

    return run


REAL = host.OpenSTLInfo("real", "1.0.0", "/somewhere")
MESH = host.OpenSTLInfo("mesh", "4.0.1", "/somewhere", "the installed package openstl (4.0.1) is a 3D-mesh library")
BROKEN = host.OpenSTLInfo("broken", "1.0.0", "/somewhere", "OpenSTL 1.0.0 cannot be imported: no module named 'pywt'")


@pytest.mark.parametrize("wanted", ["auto", "openstl"])
def test_real_one_is_chosen(choose, wanted):
    description, names = choose(wanted, REAL)
    assert (description.name, description.version) == ("openstl", "1.0.0")
    assert names.loaded
    assert "openstl 1.0.0" in str(description)


@pytest.mark.parametrize("found", [MESH, BROKEN])
def test_auto_runs_built_in_beside_another_openstl_with_one_warning(choose, found):
    with pytest.warns(UserWarning, match="the built-in host runs") as caught:
        assert choose("auto", found)[0].name == "builtin"
    assert len(caught) == 1
    assert found.reason in str(caught[0].message) and host.INSTALL in str(caught[0].message)


@pytest.mark.parametrize("wanted, found", [("auto", None), ("builtin", None), ("builtin", MESH), ("builtin", REAL)])
def test_built_in_is_chosen_in_silence(choose, wanted, found):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose(wanted, found)[0].name == "builtin"


@pytest.mark.parametrize("found", [None, MESH, BROKEN])
def test_openstl_that_was_asked_for_and_cannot_run_is_an_error(choose, found):
    with pytest.raises(ImportError, match="OPENSTL_SVQ_HOST=openstl") as error:
        choose("openstl", found)
    assert host.INSTALL in str(error.value)
    assert (found.reason if found else "not installed") in str(error.value)


def test_unknown_host_lists_the_known_ones(choose):
    with pytest.raises(ValueError, match="auto, builtin, openstl"):
        choose("opnstl", None)


def test_example_input_is_what_the_method_feeds_its_model():
    class Method(torch.nn.Module):
        device = "cpu"
        model = torch.nn.Identity()

        def forward(self, batch_x, batch_y):
            return self.model(torch.cat([batch_x, batch_y], dim=1))

    args = SimpleNamespace(in_shape=[4, 2, 8, 6], pre_seq_length=4, aft_seq_length=3)
    method = Method()
    method.model = torch.nn.Identity()
    (value,) = host.example_input(args, method)
    assert value.shape == (1, 7, 2, 8, 6)
    assert not method.model._forward_pre_hooks

    method.forward = lambda batch_x, batch_y: batch_x
    method.training_step = lambda batch, index: method.model(batch[0])
    assert host.example_input(args, method)[0].shape == (1, 4, 2, 8, 6)
    method.training_step = lambda batch, index: batch[0]
    with pytest.raises(ValueError, match="Method does not call its model"):
        host.example_input(args, method)
