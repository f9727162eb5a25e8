"""Tools run in this process as the command line runs them, without the start of a process."""

import runpy
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[1] / "tools"


def run_tool(tool, *words):
    """``python tools/<tool>.py WORDS``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [f"tools/{tool}.py", *map(str, words)])
        runpy.run_path(str(TOOLS / f"{tool}.py"), run_name="__main__")


def message_of(tool, *words):
    """The message with which the tool ends."""
    with pytest.raises(SystemExit) as ended:
        run_tool(tool, *words)
    assert isinstance(ended.value.code, str) and ended.value.code.startswith("error: "), ended.value.code
    return ended.value.code
