"""Trains a method and tests its best weights. What it does stands in openstl_svq/commands/train.py."""

from openstl_svq import cli
from openstl_svq.commands.train import main

if __name__ == "__main__":
    cli.main(main)
