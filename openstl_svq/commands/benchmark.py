"""Measures what the quantizers cost, and the metrics: python tools/benchmark.py BENCHMARK [--FLAG VALUE ...]"""

import argparse
import collections.abc
import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from pathlib import Path

from openstl_svq import cli

SHORT = {"batch_size": "-b", "dataname": "-d"}


def create_parser() -> argparse.ArgumentParser:
    from openstl_svq.benchmarks import BENCHMARKS, list_benchmarks

    parser = cli.Parser(__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="BENCHMARK")
    for name, description in list_benchmarks().items():
        command = commands.add_parser(name, help=description, description=inspect.getdoc(BENCHMARKS[name]))
        command.formatter_class = argparse.RawDescriptionHelpFormatter
        command.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ... (default: cpu)")
        command.add_argument("--threads", type=number(int), default=None, help="CPU threads (default: torch's)")
        command.add_argument("--csv", type=Path, default=None, metavar="FILE", help="also write the rows as CSV")
        command.add_argument("--json", type=Path, default=None, metavar="FILE", help="also write rows and provenance")
        for flag, kind, default in flags(BENCHMARKS[name]):
            text = " ".join(map(str, default)) if isinstance(default, (list, tuple)) else default
            shown = None if text in (None, "") else f"(default: {text})"
            command.add_argument(f"--{flag}", *filter(None, [SHORT.get(flag)]), help=shown, **kind)
    return parser


def flags(benchmark: Callable) -> list[tuple[str, dict, object]]:
    """Name, type for argparse, and default of each flag of a benchmark; see ``register_benchmark``."""
    hints, found = typing.get_type_hints(benchmark), []
    for name, parameter in inspect.signature(benchmark).parameters.items():
        if isinstance(parameter.default, Mapping):
            found += [(key, argument_of(type(value), value), value) for key, value in parameter.default.items()]
        elif name not in ("device", "progress"):
            found.append((name, argument_of(hints[name], parameter.default), parameter.default))
    return found


def argument_of(hint: typing.Any, default: typing.Any) -> dict:
    origin, inner = typing.get_origin(hint), [t for t in typing.get_args(hint) if t is not type(None)]
    if isinstance(default, tuple) and origin is not collections.abc.Sequence:
        inner = inner or [type(value) for value in default]
        return {"type": number(inner[0]), "nargs": len(default), "default": None}
    if origin is collections.abc.Sequence:
        return {"type": number(inner[0]), "nargs": "+", "default": None}
    return {"type": number(inner[0] if inner else hint), "default": None}


def number(kind: type) -> Callable[[str], object]:
    """``kind`` as argparse takes it, numbers above 0 alone."""

    def convert(text: str):
        value = kind(text)
        if isinstance(value, (int, float)) and not value > 0:
            raise argparse.ArgumentTypeError(f"must be {'1 or more' if kind is int else 'above 0'}, got {text}")
        return value

    convert.__name__ = kind.__name__  # argparse says "invalid int value"
    return convert


def measure(args: argparse.Namespace):
    from openstl_svq.benchmarks import BENCHMARKS

    benchmark = BENCHMARKS[args.command]
    given = {key: value for key, value in vars(args).items() if value is not None}
    arguments: dict = {}
    for name, parameter in inspect.signature(benchmark).parameters.items():
        if isinstance(parameter.default, Mapping):
            arguments[name] = {key: given[key] for key in parameter.default if key in given}
        elif name == "progress":
            arguments[name] = show_progress
        elif name in given:
            arguments[name] = given[name]
    return benchmark(**arguments)


def show_progress(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


def main():
    args = create_parser().parse_args()

    import torch

    from openstl_svq.benchmarks.tables import provenance
    from openstl_svq.files import write_text

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
            write_text(path, text)


if __name__ == "__main__":
    cli.main(main)
