"""Exports a trained model: programs that need only torch or an ONNX runtime, and weights with a JSON card. What it does stands in openstl_svq/commands/export.py."""

from openstl_svq import cli
from openstl_svq.commands.export import main

if __name__ == "__main__":
    cli.main(main)
