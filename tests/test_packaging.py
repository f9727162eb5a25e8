"""What a regular installation carries: a wheel is built, installed and used far from the checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from setuptools import find_packages

from openstl_svq import cli, commands
from openstl_svq.commands import list_commands
from openstl_svq.config_file import find_config, load_config, packaged_configs

ROOT = Path(__file__).parents[1]
NOT_INSTALLED = {"torture"}  # tries the tools of a checkout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the installed wheel, without what it depends on."""
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns(".*", "work_dirs", "build", "*.egg-info", "__pycache__", "tests")
    shutil.copytree(ROOT, folder / "source", ignore=ignored)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    wheel = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, folder / "source"]
    subprocess.run([*pip, *wheel], check=True)
    (file,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", folder / "site", file], check=True)
    return folder / "site"


@pytest.fixture
def console(installed, tmp_path):
    """Runs the console command in an empty folder, with the installed package alone."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1", "OPENSTL_SVQ_HOST": "builtin"}

    def call(*words):
        command = [sys.executable, installed / "bin" / "openstl-svq", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300)

    return call


def test_every_folder_with_code_is_a_package():
    packages = set(find_packages(str(ROOT), include=["openstl_svq", "openstl_svq.*"]))
    folders = {".".join(p.parent.relative_to(ROOT).parts) for p in (ROOT / "openstl_svq").rglob("*.py")}
    assert folders == packages


def test_the_sample_is_packaged_and_small():
    files = list((ROOT / "openstl_svq" / "data").glob("weather_sample/weather/*/*.nc"))
    assert files and sum(f.stat().st_size for f in files) <= 4 * 2**20


def test_every_tool_is_a_command():
    assert {tool.stem for tool in (ROOT / "tools").glob("*.py")} - NOT_INSTALLED == set(list_commands())


def test_the_wheel_has_every_data_file_and_configuration(installed):
    for folder, place in ((ROOT / "configs", "openstl_svq/configs"), (ROOT / "openstl_svq", "openstl_svq")):
        here = {p.relative_to(folder) for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
        assert not {path for path in here if not (installed / place / path).is_file()}


def test_the_console_command_lists_the_commands_and_names_an_unknown_one(console):
    shown = console("--help")
    assert shown.returncode == 0, shown.stderr
    assert all(f"  {name} " in shown.stdout for name in list_commands())
    wrong = console("trian")
    assert (wrong.returncode, wrong.stdout) == (1, "") and "Did you mean 'train'?" in wrong.stderr


def test_the_installed_command_trains_a_packaged_configuration(console, tmp_path):
    words = ["-d", "weather_sample", "-c", "weather/t2m_5_625/SimVP_SVQ_gSTA", "--epoch", 1, "--num_workers", 0]
    words += ["--ex_name", "run", "--accelerator", "cpu", "--cfg_options", "hid_S=4", "hid_T=8", "N_T=2"]
    words += ["warmup_epoch=0", "quantizer_kwargs.codebook_size=20"]
    words += ["train_time=['2001-01','2001-01']", "val_time=['2001-02','2001-02']", "test_time=['2001-03','2001-03']"]
    done = console("train", *words)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "work_dirs" / "run" / "checkpoints" / "best.ckpt").is_file()


def test_help_and_messages_name_the_command_that_is_there(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    for words, expected in (
        (["predict", "--help"], "openstl-svq predict work_dirs/NAME"),
        (["test", "--help"], "usage: openstl-svq test"),
        (["train", "-d", "taxibj", "-m", "simvp"], "openstl-svq make_sample_data -d taxibj"),
    ):
        monkeypatch.setattr("sys.argv", [f"/usr/bin/{cli.CONSOLE}", *words])
        with pytest.raises(SystemExit) as end:
            commands.console()
        assert expected in f"{end.value} {capsys.readouterr().out}"


@pytest.mark.parametrize("name", ["weather_sample/SimVP_gSTA", "configs/weather_sample/SimVP_gSTA.py"])
def test_packaged_configurations_are_found_from_anywhere(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(name) == packaged_configs() / "weather_sample" / "SimVP_gSTA.py"
    with pytest.raises(FileNotFoundError, match="SimVP_gSTB"):
        load_config(name.replace("gSTA", "gSTB"))
    (tmp_path / "configs" / "weather_sample").mkdir(parents=True)
    (tmp_path / "configs" / "weather_sample" / "SimVP_gSTA.py").write_text("lr = 7.0")
    if name.endswith(".py"):  # a file that is there comes first
        assert load_config(name) == {"lr": 7.0}


def test_help_shows_defaults(monkeypatch, capsys):
    from openstl_svq.commands import predict, train

    for module, expected in ((train, ["(default: 16)", "(default: 0.001)"]), (predict, ["(default: 10)"])):
        monkeypatch.setattr("sys.argv", [f"{cli.CONSOLE}", module.__name__.rpartition(".")[2], "--help"])
        with pytest.raises(SystemExit):
            module.main()
        shown = " ".join(capsys.readouterr().out.split())
        assert all(text in shown for text in expected) and "default: None" not in shown
