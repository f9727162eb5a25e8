"""Forecasts from a file or folder of frames with a trained model. What it does stands in openstl_svq/commands/predict.py."""

from openstl_svq import cli
from openstl_svq.commands.predict import main

if __name__ == "__main__":
    cli.main(main)
