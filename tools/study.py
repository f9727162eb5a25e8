"""The rows of a study's runs, and what they say: every arm against its reference, with corrected intervals. What it does stands in openstl_svq/commands/study.py."""

from openstl_svq import cli
from openstl_svq.commands.study import main

if __name__ == "__main__":
    cli.main(main)
