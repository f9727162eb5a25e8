"""Trains a grid of runs, here or on a cluster, and makes one table of their scores.

    python tools/sweep.py -d weather_sample -c configs/weather_sample/SimVP_SVQ_gSTA.py \\
        --model_type gSTA swin --quantizer none svq --seed 0 1 2 --baseline quantizer=none

Finished runs are skipped: after an interruption, or with more values, give the same command again. Every other flag
goes to tools/train.py as it is. --jobs 4 runs four at a time, --launcher slurm --partition NAME makes them jobs of a
cluster.
"""

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from openstl_svq import cli

TRAIN = Path(__file__).resolve().with_name("train.py")
AXES = ("model_type", "quantizer", "quant_position", "codebook_size", "seed")


def create_parser() -> argparse.ArgumentParser:
    parser = cli.Parser(__doc__, allow_abbrev=False)
    grid = parser.add_argument_group("the grid: every combination of these is a run")
    grid.add_argument("--config_file", "-c", nargs="+", default=[], metavar="FILE", help="configuration files")
    grid.add_argument("--model_type", nargs="+", default=[], metavar="NAME", help="translators")
    grid.add_argument("--quantizer", nargs="+", default=[], metavar="NAME", help="quantizers; none for no quantizer")
    grid.add_argument("--quant_position", nargs="+", default=[], metavar="NAME", help="before, after, none")
    grid.add_argument("--codebook_size", nargs="+", default=[], type=int, metavar="N")
    grid.add_argument("--seed", nargs="+", default=[], type=int, metavar="N")
    grid.add_argument(
        "--grid",
        nargs="+",
        default=[],
        metavar="KEY=VALUE,...",
        help="any configuration key, as in lr=1e-3,5e-3 quantizer_kwargs.init=sparse,orthogonal",
    )
    run = parser.add_argument_group("the sweep")
    run.add_argument("--res_dir", default="work_dirs", help="folder of all runs (default: work_dirs)")
    run.add_argument("--ex_name", "-ex", default="sweep", help="name of the sweep: its folder is RES_DIR/EX_NAME")
    run.add_argument("--epoch", "-e", type=int, default=None, help="of every run")
    run.add_argument("--cfg_options", nargs="+", default=[], metavar="KEY=VALUE", help="of every run")
    run.add_argument(
        "--baseline",
        nargs="+",
        default=[],
        metavar="AXIS=VALUE",
        help="what the others are compared with, as in quantizer=none or config_file=SimVP_gSTA",
    )
    run.add_argument("--metrics", nargs="+", default=None, help="of the table (default: mse, mae, ssim, psnr, lpips)")
    run.add_argument("--dry_run", action="store_true", help="print the plan and stop")
    cli.add_launcher_flags(parser)
    return parser


def main():
    args, words = create_parser().parse_known_args()
    words += [] if args.epoch is None else ["--epoch", str(args.epoch)]

    from openstl_svq import sweep
    from openstl_svq.files import inside

    launcher = sweep.build_launcher(args)
    axes = {"config_file": args.config_file} if args.config_file else {}
    axes |= {axis: values for axis in AXES if (values := getattr(args, axis))}
    for word in args.grid:
        axis, values = sweep.parse_axis(word)
        if axis in axes:
            raise ValueError(f"axis {axis} is given twice.")
        axes[axis] = values
    if not axes:
        raise ValueError("nothing to sweep over: give at least one axis, such as --seed 0 1 2.")
    baseline = dict(word.partition("=")[::2] for word in args.baseline)
    inside(args.res_dir, args.ex_name, "--ex_name")
    folder = Path(args.res_dir, args.ex_name)
    runs, cells = sweep.plan(axes, words, args.cfg_options, folder)
    sweep.check_table(runs, cells, axes, baseline, args.metrics)
    if args.dry_run:
        show_plan(sweep, runs, folder)
        return

    def write_tables(failed=()):
        summary = sweep.summary_table(runs, cells, folder, list(axes), baseline, args.metrics)
        sweep.write_tables(folder, sweep.runs_table(runs, folder, axes, failed), summary)
        return summary

    failed = sweep.run_all(runs, folder, TRAIN, write_tables, launcher)
    print(f"\n{write_tables(failed).markdown()}\n\ntables: {folder}/summary.md, summary.csv, results.csv")
    if curves := sweep.draw_curves(runs, folder, axes):
        print(f"curves: {curves}")
    if failed:
        sys.exit(sweep.failures(failed, len(runs), folder))


def show_plan(sweep: Any, runs: list, folder: Path):
    states = [sweep.state(run, folder) for run in runs]
    for run, state in zip(runs, states):
        print(f"{state:11}  {shlex.join(['python', 'tools/train.py', *run.words])}")
    print(f"{len(runs)} runs, {states.count('finished')} finished, in {folder}")


if __name__ == "__main__":
    cli.main(main)
