"""Converts a checkpoint of OpenSTL or of the authors' released SVQ code into one of this package.

    python tools/convert_checkpoint.py work_dirs/NAME/checkpoints/best.ckpt OUT.ckpt
    python tools/convert_checkpoint.py checkpoint.pth OUT.ckpt --trust

The result holds tensors and plain values only. Test it with

    python tools/test.py OUT.ckpt -d DATASET -m METHOD -c CONFIG

or without -d, -m and -c where the input carried its configuration, as OpenSTL's do.
"""

import argparse

from openstl_svq import cli


def create_parser() -> argparse.ArgumentParser:
    parser = cli.Parser(__doc__)
    parser.add_argument("input", help="checkpoint to convert")
    parser.add_argument("output", help="file to write")
    parser.add_argument(
        "--trust",
        action="store_true",
        help="also read a pickle that can run any code: only for a file from somebody you trust",
    )
    return parser


def main():
    from openstl_svq.convert import convert_checkpoint

    args = create_parser().parse_args()
    weights = convert_checkpoint(args.input, args.output, trust=args.trust)
    print(f"{args.output}: {len(weights)} weights, {sum(w.numel() for w in weights.values()):,} numbers")


if __name__ == "__main__":
    cli.main(main)
