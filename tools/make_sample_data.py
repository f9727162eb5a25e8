"""Writes a small dataset in the format that the loaders read, for ``tools/train.py -d NAME --data_root OUT``. What it does stands in openstl_svq/commands/make_sample_data.py."""

from openstl_svq import cli
from openstl_svq.commands.make_sample_data import main

if __name__ == "__main__":
    cli.main(main)
