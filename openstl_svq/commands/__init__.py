"""The commands, one file each: ``main()`` reads the command line, and what it does lies in the rooms below.

``tools/NAME.py`` runs ``NAME`` in a checkout, and the console command ``openstl-svq NAME`` in an installation. A new
command is a new file here, and a script of the same name in ``tools/``.
"""

import ast
import importlib
import pkgutil
import sys
from pathlib import Path

from openstl_svq import cli


def list_commands() -> dict[str, str]:
    """Names of the commands and a line about each."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        text = ast.get_docstring(ast.parse(Path(__path__[0], f"{module.name}.py").read_text(encoding="utf-8"))) or ""
        found[module.name] = text.partition("\n")[0]
    return found


def console() -> None:
    """The console command ``openstl-svq COMMAND ...``."""
    commands = list_commands()
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        width = max(map(len, commands))
        lines = [f"  {command:{width}}  {cli.spoken(text)}" for command, text in commands.items()]
        print(f"usage: {cli.CONSOLE} COMMAND ... ({cli.CONSOLE} COMMAND --help says more)\n", *lines, sep="\n")
        return

    def command():
        from openstl_svq.naming import choose

        importlib.import_module(f"{__name__}.{choose('command', name, commands)}").main()

    cli.main(command)
