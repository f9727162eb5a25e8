"""Methods, quantizers and datasets of somebody else, through the real command lines."""

import importlib
import sys
from pathlib import Path

import pytest
from running import message_of, run_tool

import openstl_svq
from openstl_svq import config, plugins
from openstl_svq.config_file import load_config

ROOT = Path(__file__).parents[1]
QUANTIZER = """
from openstl_svq.quantizers import Quantizer, QuantizerOutput, register_quantizer

@register_quantizer("{name}", "divides by two")
class {name}(Quantizer):
    def quantize(self, z, *, return_codes, return_usage):
        return QuantizerOutput(z / 2, z.new_zeros(()))
"""


@pytest.fixture
def forget(registries):
    """Forgets what has been registered, as a new process would; also after the test."""

    def back():
        registries()
        sys.modules.pop("halving_module", None)

    yield back
    back()


@pytest.mark.parametrize("imported", [False, True], ids=["in the file", "imported by the file"])
def test_a_run_finds_its_plug_in_again(tmp_path, forget, monkeypatch, imported):
    file, module, other = tmp_path / "own.py", tmp_path / "modules" / "halving_module.py", tmp_path / "other" / "own.py"
    module.parent.mkdir()
    module.write_text(QUANTIZER.format(name="Halving"))
    monkeypatch.syspath_prepend(str(module.parent))
    file.write_text(("import halving_module\n" if imported else module.read_text()) + "quantizer = 'Halving'\n")
    sizes = ["in_shape=[2,1,32,64]", "pre_seq_length=2", "aft_seq_length=1", "hid_S=2", "hid_T=4", "N_S=2", "N_T=2"]
    days = [
        f"{split}_time=['2001-01-{day}','2001-01-{day + 4}']"
        for day, split in ((10, "train"), (15, "val"), (20, "test"))
    ]
    words = [
        "-d",
        "weather_sample",
        "-m",
        "simvp_svq",
        "-e",
        "1",
        "-b",
        "8",
        "--num_workers",
        "0",
        "--accelerator",
        "cpu",
        "--ex_name",
        "run",
        "--res_dir",
    ]
    allowed = ["--allow_code"] if imported else []  # the file that registers something itself needs no leave
    run_tool("train", "-c", file, *allowed, *words, tmp_path, "--cfg_options", *sizes, *days)
    folder = tmp_path / "run"
    assert load_config(folder / "config.py")["plugins"] == [str(file)]

    forget()
    named = f"the plug-in {file} is named by a checkpoint or configuration file, and is code"
    for words in (("test", folder), ("predict", folder, "nowhere.nc"), ("train", "--resume", folder)):
        assert named in message_of(*words)
    run_tool("test", folder, "--allow_code")
    forget()
    months = ROOT / "openstl_svq" / "data" / "weather_sample" / "weather" / "2m_temperature"
    run_tool("predict", folder, months, "-o", tmp_path / "out.nc", "--allow_code")
    assert (tmp_path / "out.nc").is_file()
    forget()
    with pytest.raises(ValueError, match="named by a checkpoint"):
        openstl_svq.load(folder)
    assert type(openstl_svq.load(folder, allow_code=True).model.quantizer).__name__ == "Halving"

    forget()
    other.parent.mkdir()
    other.write_text(QUANTIZER.format(name="Halving"))
    load_config(other, "plugins")
    message = message_of("test", folder, "--allow_code")
    assert f"the plug-in {file} cannot be loaded" in message and f"name 'Halving' is taken by {other}" in message
    forget()
    file.unlink()
    with pytest.raises(ImportError, match=f"the plug-in {file} cannot be loaded: .* does not exist"):
        openstl_svq.load(folder, allow_code=True)


@pytest.mark.usefixtures("forget")
def test_plug_ins_that_are_named(tmp_path, monkeypatch):
    (tmp_path / "named_plugin.py").write_text(QUANTIZER.format(name="ByModule"))
    (tmp_path / "file.py").write_text(QUANTIZER.format(name="ByFile"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    args = config.resolve(["-m", "simvp_svq", "--plugins", "named_plugin", "file.py", "--quantizer", "ByModule"])
    assert args.plugins == ["named_plugin", str(tmp_path / "file.py")]
    again = config.resolve(["--quantizer", "ByFile"], base=vars(args))  # they have run in this process
    assert (again.plugins, again.quantizer) == (args.plugins, "ByFile")


def test_only_what_a_run_uses_is_kept(tmp_path):
    file = tmp_path / "own.py"
    file.write_text("lr = 1e-3\n")
    assert config.resolve(["-c", str(file)]).plugins == []


@pytest.mark.parametrize(
    "named, message",
    [
        ("nowhere.py", r"the plug-in nowhere.py cannot be loaded: .*nowhere.py does not exist"),
        ("no_such_module", "the plug-in no_such_module cannot be loaded: No module named 'no_such_module'"),
    ],
)
def test_plug_ins_that_are_not_there(named, message):
    with pytest.raises(ImportError, match=message):
        config.resolve(["--plugins", named])
    with pytest.raises(ValueError, match="plugins must be a list of modules and .py files, got 'x'"):
        config.resolve(["--cfg_options", "plugins=x"])


@pytest.mark.usefixtures("forget")
def test_plug_ins_of_installed_packages(tmp_path, monkeypatch):
    (tmp_path / "installed_plugin.py").write_text(QUANTIZER.format(name="Installed"))
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(text):
        folder = tmp_path / "thirdparty-1.0.dist-info"
        folder.mkdir(exist_ok=True)
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[openstl_svq.plugins]\n{text}\n")
        importlib.invalidate_caches()
        plugins.load_installed.cache_clear()

    install("ours = installed_plugin")
    args = config.resolve(["-m", "simvp_svq", "--quantizer", "Installed"])
    assert args.quantizer == "Installed" and args.plugins == []  # found by being installed
    install("theirs = broken_plugin")
    with pytest.raises(
        ImportError, match=r"plug-in 'theirs' \(broken_plugin\) of the package thirdparty cannot be imported"
    ):
        config.resolve([])
    install("")
    config.resolve([])
