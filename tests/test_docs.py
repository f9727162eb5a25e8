"""README and documentation: every command is one that its tool takes, every Python block runs, every link leads somewhere.

What the tests read:

- Commands: code that begins with ``python tools/NAME.py``, ``tools/NAME.py`` or ``openstl-svq NAME``, on lines of its own
  (indented, or fenced as ``sh``) or between backticks. Bash splits them, so that patterns, braces and comments mean what
  they mean to a reader. ``train`` and ``test`` resolve their configuration, ``sweep`` makes its plan, the others read their
  flags.
- Python blocks: one whose first line is ``# NAME.py`` is a file that the page's commands may name. Any other runs, those of
  a page one after the other, unless ``<!-- not run: WHY -->`` stands before it.
"""

import argparse
import ast
import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

from openstl_svq import config
from openstl_svq.commands import list_commands

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN_ELSEWHERE = {"CONTRIBUTING.md", "adding.md"}  # by test_contributing.py and test_docs_adding.py
COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(?:(?:python )?tools/(\w+)\.py|openstl-svq (\w+)) (.+)")
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def commands(page: Path) -> list[tuple[str, str]]:
    """Tool and flags of each command of a page, as they are written."""
    text = text_of(page)
    lines = [line for language, code in FENCE.findall(text) if language == "sh" for line in unbroken(code)]
    text = FENCE.sub("", text)
    lines += [line.strip() for line in unbroken(text) if line.startswith("    ")]
    code = [part.strip() for line in lines for part in line.split("&&")]
    code += [" ".join(words.split()) for words in re.findall(r"`([^`]+)`", text)]
    found = [match for match in map(COMMAND.fullmatch, code) if match and "..." not in match[3]]
    return list(dict.fromkeys((match[1] or match[2], match[3]) for match in found))


def unbroken(code: str) -> list[str]:
    """Lines, those that end in a backslash together with the next."""
    return re.sub(r" *\\\n *", " ", code).splitlines()


def blocks(page: Path) -> tuple[dict[str, str], list[str]]:
    """The files of a page by name, and the Python that it shows besides."""
    files, code = {}, []
    pattern = r"(<!-- not run: [^>]+ -->\s*)?^```python\n(.*?)^```"
    for skipped, block in re.findall(pattern, text_of(page), re.DOTALL | re.MULTILINE):
        if name := re.match(r"# (\w+\.py)\n", block):
            files[name[1]] = block
        elif not skipped:
            code.append(block)
    return files, code


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """The current folder, with what a reader's has."""
    for name in ("configs", "tools", "docs", "openstl_svq"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def main_of(tool: str):
    if tool in list_commands():
        return importlib.import_module(f"openstl_svq.commands.{tool}").main
    spec = importlib.util.spec_from_file_location(tool, ROOT / "tools" / f"{tool}.py")
    module = sys.modules[tool] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


class ReadThrough(Exception):
    """A tool has read its command line."""


@pytest.mark.parametrize(
    "page, tool, flags", [pytest.param(p, *c, id=f"{p.name}: {' '.join(c)[:60]}") for p in PAGES for c in commands(p)]
)
def test_a_command_is_one_that_its_tool_takes(page, tool, flags, checkout, monkeypatch, registries, capsys):
    for name, text in blocks(page)[0].items():
        Path(name).write_text(text)
    split = subprocess.run(["bash", "-c", f"printf '%s\\0' {flags}"], capture_output=True, text=True, check=True)
    words = split.stdout.split("\0")[:-1]
    assert (ROOT / "tools" / f"{tool}.py").is_file()
    if tool in ("train", "test") and "--help" not in words:
        config.resolve(words[1:] if tool == "test" and not words[0].startswith("-") else words)
        return
    monkeypatch.setattr("sys.argv", [f"tools/{tool}.py", *words])
    if tool == "sweep":
        sys.argv.append("--dry_run")
        main_of(tool)()
        assert " runs, " in capsys.readouterr().out
        return
    read = argparse.ArgumentParser.parse_known_args

    def stop(parser, *args, **kwargs):
        _, left = read(parser, *args, **kwargs)
        assert not left or tool == "reproduce"  # which gives them to tools/train.py
        raise ReadThrough

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", read if tool != "reproduce" else stop)
    with pytest.raises(SystemExit if "--help" in words else ReadThrough):
        main_of(tool)()


@pytest.mark.parametrize("page", [pytest.param(p, id=p.name) for p in PAGES if p.name not in RUN_ELSEWHERE])
def test_the_python_of_a_page_runs(page, checkout, monkeypatch, registries):
    _, code = blocks(page)
    monkeypatch.setattr(matplotlib, "use", lambda *_: None)
    namespace: dict = {}
    for block in code:
        exec(compile(block, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", [pytest.param(p, id=p.name) for p in PAGES])
def test_links_and_extras_exist(page):
    text = FENCE.sub("", text_of(page))
    for link in re.findall(r"\]\(([^)#\s]+)", text):
        assert re.match(r"https?://|mailto:", link) or (page.parent / link).exists(), link
    setup = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    keys = {key.value for node in ast.walk(setup) if isinstance(node, ast.Dict) for key in node.keys if key is not None}
    named = re.findall(r"(?:openstl_svq|install -e \"?\.)\[([\w,]+)\]", text)
    assert {extra for names in named for extra in names.split(",")} <= keys


def test_the_main_job_resolves(checkout):
    (tool, flags), *_ = commands(README)
    args = config.resolve(flags.split())
    assert (tool, args.method, args.dataname, args.patience) == ("train", "simvp_svq", "weather_sample", 10)


def test_the_test_command_is_what_ci_runs():
    install, test = re.search(r"^    (pip install .*) && (pytest .*)$", text_of(README), re.MULTILINE).groups()
    script = (ROOT / ".ci" / "run").read_text()
    assert install.replace("pip install ", "") in script and test in script
