"""Converts a checkpoint of OpenSTL or of the authors' released SVQ code into one of this package. What it does stands in openstl_svq/commands/convert_checkpoint.py."""

from openstl_svq import cli
from openstl_svq.commands.convert_checkpoint import main

if __name__ == "__main__":
    cli.main(main)
