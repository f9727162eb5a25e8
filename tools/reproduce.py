"""A table or a figure of the paper: trains what it needs, and gives the results beside the published numbers. What it does stands in openstl_svq/commands/reproduce.py."""

from openstl_svq import cli
from openstl_svq.commands.reproduce import main

if __name__ == "__main__":
    cli.main(main)
