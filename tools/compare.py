"""Whether two sweeps differ: their runs paired by settings and seed, with intervals. What it does stands in openstl_svq/commands/compare.py."""

from openstl_svq import cli
from openstl_svq.commands.compare import main

if __name__ == "__main__":
    cli.main(main)
