"""Trains a grid of runs, here or on a cluster, and makes one table of their scores. What it does stands in openstl_svq/commands/sweep.py."""

from openstl_svq import cli
from openstl_svq.commands.sweep import main

if __name__ == "__main__":
    cli.main(main)
