"""The README's commands exist and its Python runs."""

import itertools
import re
import shlex
from pathlib import Path

import pytest

from openstl_svq import config

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("#")[0].strip() for line in re.findall(r"^    (?:pip .*&& )?(python tools/.*)$", README, re.MULTILINE)
]


def test_the_python_examples_run(registries):
    blocks = [b for b in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "work_dirs/" not in b]  # needs a run
    assert blocks
    namespace = {}
    for block in blocks:
        exec(block, namespace)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_name_what_exists(command):
    _, tool, *words = shlex.split(command)
    assert (ROOT / tool).is_file()
    for flag, value in itertools.pairwise(words):
        if flag == "-c":
            assert list(ROOT.glob(value))
    if tool == "tools/train.py" and "--help" not in words:
        config.create_parser().parse_args(words)


def test_the_main_job_resolves(monkeypatch):
    monkeypatch.chdir(ROOT)
    words = shlex.split(COMMANDS[0])[2:]
    args = config.resolve(words)
    assert (args.method, args.dataname, args.patience) == ("simvp_svq", "weather_sample", 10)


def test_the_test_command_is_what_ci_runs():
    install, test = re.search(r"^    (pip install .*) && (pytest .*)$", README, re.MULTILINE).groups()
    script = (ROOT / ".ci" / "run").read_text()
    assert install.replace("pip install ", "") in script and test in script
