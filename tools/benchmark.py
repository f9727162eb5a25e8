"""Measures what the quantizers cost, and the metrics.

python tools/benchmark.py quantizer     SVQ's folded form against the reference form
python tools/benchmark.py step          a whole training step with SVQ against one without a quantizer
python tools/benchmark.py cost          parameters and FLOPs: Table 12, and every other backbone
python tools/benchmark.py quantizers    quantizers with one codebook size: Table 13
python tools/benchmark.py codebook      FLOPs and time against the size of the codebook: Figure 2
python tools/benchmark.py ssim          SSIM of a batch against scikit-image's frame by frame
"""

import argparse
import sys
from pathlib import Path

from openstl_svq import cli

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def create_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ... (default: cpu)")
    shared.add_argument("--threads", type=_positive, default=None, help="CPU threads (default: torch's)")
    shared.add_argument("--csv", type=Path, default=None, metavar="FILE", help="also write the rows as CSV")
    shared.add_argument("--json", type=Path, default=None, metavar="FILE", help="also write rows and provenance")

    backbone = argparse.ArgumentParser(add_help=False)
    backbone.add_argument("--in_shape", type=_positive, nargs=4, default=None, metavar=("T", "C", "H", "W"))
    for key in ("hid_S", "hid_T", "N_S", "N_T"):
        backbone.add_argument(f"--{key}", type=_positive, default=None)
    backbone.add_argument("--model_type", default=None, help="translator (default: gSTA)")
    backbone.add_argument("--batch_size", "-b", type=_positive, default=None)

    def command(name, help_text, *parents):
        return commands.add_parser(name, help=help_text, parents=[shared, *parents])

    quantizer = command("quantizer", "folded against reference form")
    step = command("step", "whole training step, with SVQ and without", backbone)
    cost = command("cost", "parameters and FLOPs (Table 12)")
    quantizers = command("quantizers", "quantizers with one codebook size (Table 13)", backbone)
    codebook = command("codebook", "cost against the size of the codebook (Figure 2)")
    ssim = command("ssim", "a batch against a loop over frames")

    for sub, shape in ((quantizer, (48, 32, 16, 32)), (codebook, (12, 32, 16, 32))):
        sub.add_argument(
            "--shape",
            type=_positive,
            nargs=4,
            default=shape,
            metavar=("N", "C", "H", "W"),
            help=f"of the latent (default: {' '.join(map(str, shape))})",
        )
    for sub, size in ((quantizer, 10_000), (step, 10_000), (quantizers, 1024)):
        sub.add_argument("--codebook_size", type=_positive, default=size, help=f"(default: {size})")
    for sub in (quantizer, step):
        sub.add_argument("--hidden_dim", type=_positive, default=128, help="(default: 128)")
    for sub, rounds in ((quantizer, 5), (step, 11), (quantizers, 7), (codebook, 3), (ssim, 7)):
        sub.add_argument("--rounds", type=_positive, default=rounds, help=f"(default: {rounds})")
    ssim.add_argument("--batch_size", "-b", type=_positive, default=64, help="frames (default: 64)")
    cost.add_argument("--dataname", "-d", nargs="+", default=None, help="only these datasets")
    codebook.add_argument(
        "--sizes",
        type=_positive,
        nargs="+",
        default=[2**k for k in range(6, 15)],
        help="of the codebook (default: 64 ... 16384)",
    )
    codebook.add_argument(
        "--time_limit", type=_above_zero, default=60.0, metavar="SECONDS", help="for one size (default: 60)"
    )
    codebook.add_argument(
        "--memory_limit", type=_above_zero, default=None, metavar="GIB", help="(default: 80 %% of what is free)"
    )
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {text}")
    return value


def _above_zero(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"must be above 0, got {text}")
    return value


def measure(args):
    from openstl_svq.benchmarks import benchmarks
    from openstl_svq.naming import choose

    backbone = {
        key: getattr(args, key)
        for key in ("in_shape", "hid_S", "hid_T", "N_S", "N_T", "model_type")
        if getattr(args, key, None) is not None
    }
    common = {"device": args.device, "progress": show_progress}
    batch = {"batch_size": args.batch_size} if getattr(args, "batch_size", None) else {}
    if args.command == "cost":
        known = dict.fromkeys(backbone.dataname for backbone in benchmarks.BACKBONES)
        names = [choose("dataset of the cost table", name, known) for name in args.dataname or []]
        return benchmarks.cost_table(CONFIGS, names, progress=show_progress)
    if args.command == "quantizer":
        return benchmarks.quantizer_table(tuple(args.shape), args.codebook_size, args.hidden_dim, args.rounds, **common)
    if args.command == "step":
        return benchmarks.step_table(
            backbone,
            codebook_size=args.codebook_size,
            hidden_dim=args.hidden_dim,
            rounds=args.rounds,
            **batch,
            **common,
        )
    if args.command == "quantizers":
        return benchmarks.quantizers_table(
            backbone, codebook_size=args.codebook_size, rounds=args.rounds, **batch, **common
        )
    if args.command == "ssim":
        return benchmarks.ssim_table(rounds=args.rounds, **batch, **common)
    limit = None if args.memory_limit is None else int(args.memory_limit * 2**30)
    return benchmarks.codebook_table(args.sizes, tuple(args.shape), args.rounds, args.time_limit, limit, **common)


def show_progress(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


def main():
    args = create_parser().parse_args()

    import torch

    from openstl_svq.benchmarks.tables import provenance
    from openstl_svq.files import replacing

    if args.threads:
        torch.set_num_threads(args.threads)
    if torch.device(args.device).type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"--device {args.device}, but torch sees no GPU. Use --device cpu, or install a torch with CUDA."
        )
    table = measure(args)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    source = {"command": " ".join(["tools/benchmark.py", *cli.words()]), **provenance(args.device)}
    print(table.markdown())
    print("\n" + ", ".join(f"{key} {value}" for key, value in source.items() if key != "command"))
    for path, text in ((args.csv, table.csv()), (args.json, table.json(**source))):
        if path:
            with replacing(path) as partial:
                partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    cli.main(main)
