"""Figures of trained runs: what the quantizer does to the latent, and where the forecast is wrong. What it does stands in openstl_svq/commands/analyse.py."""

from openstl_svq import cli
from openstl_svq.commands.analyse import main

if __name__ == "__main__":
    cli.main(main)
