"""A report: one self-contained HTML page about a run, a sweep or a table of the paper. What it does stands in openstl_svq/commands.report.py."""

from openstl_svq import cli
from openstl_svq.commands.report import main

if __name__ == "__main__":
    cli.main(main)
