"""Measures what the quantizers cost, and the metrics. What it does stands in openstl_svq/commands/benchmark.py."""

from openstl_svq import cli
from openstl_svq.commands.benchmark import main

if __name__ == "__main__":
    cli.main(main)
