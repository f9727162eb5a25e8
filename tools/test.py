"""Tests a trained method: a run folder or a checkpoint, with the configuration that it carries. What it does stands in openstl_svq/commands/test.py."""

from openstl_svq import cli
from openstl_svq.commands.test import main

if __name__ == "__main__":
    cli.main(main)
