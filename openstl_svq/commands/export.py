"""Exports a trained model: programs that need only torch or an ONNX runtime, and weights with a JSON card.

python tools/export.py work_dirs/NAME            model.pt2, model.onnx, model.safetensors and card.json
                                                 in work_dirs/NAME/export

The weights come with a README.md, the card that people read (see openstl_svq.predict.Forecaster.save_pretrained).

Programs take frames in the unit of the training data, (batch, frames, channels, height, width), and give the forecast
in the same unit; normalisation is inside and the codebook is folded away.
"""

import argparse
from pathlib import Path

from openstl_svq import cli


def create_parser() -> argparse.ArgumentParser:
    parser = cli.Parser(__doc__)
    parser.add_argument("run", help="the folder of a run, or one of its checkpoints")
    parser.add_argument("--out", type=Path, default=None, metavar="FOLDER", help="(default: RUN/export)")
    parser.add_argument(
        "--formats",
        nargs="+",
        default=None,
        metavar="FORMAT",
        help="torch (torch.export), onnx, safetensors (default: all three; in bfloat16 torch)",
    )
    parser.add_argument(
        "--precision",
        default="32",
        choices=("32", "bf16-mixed"),
        help="that the torch program computes in; its frames and forecasts are float32 in any case",
    )
    parser.add_argument(
        "--keep_codebook", action="store_true", help="in the safetensors weights, for looking at the codes"
    )
    parser.add_argument(
        "--made_with", default=None, metavar="TEXT", help="the commands that made the model, for the card: a line each"
    )
    return parser


def main():
    args = create_parser().parse_args()

    import openstl_svq
    from openstl_svq.files import write_text
    from openstl_svq.predict.export import FORMATS, export
    from openstl_svq.predict.hub import name_of
    from openstl_svq.training import run_folder

    path = run_folder.locate(args.run)
    method = openstl_svq.load(path, precision=args.precision)
    formats = args.formats or (FORMATS if args.precision == "32" else ["torch"])
    folder = args.out or run_folder.run_folder(path) / "export"
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
    for name, file in export(method, folder, formats, keep_codebook=args.keep_codebook).items():
        print(f"{file}: {file.stat().st_size / 1e6:.2f} MB ({name})")
        if name == "safetensors":
            card = method.generate_model_card(name=name_of(folder), made_with=args.made_with)
            write_text(folder / "README.md", f"{card}\n")


if __name__ == "__main__":
    cli.main(main)
