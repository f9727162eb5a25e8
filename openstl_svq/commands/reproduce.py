"""A table or a figure of the paper: trains what it needs, and gives the results beside the published numbers.

python tools/reproduce.py --table 3 --data_root DATA --seed 0 1 2
python tools/reproduce.py --figure 5 --data_root DATA
python tools/reproduce.py --table 7 --scale sample             # small models on sample data: minutes
python tools/reproduce.py --table 3 --dry_run                  # the runs, their time and disk; nothing is trained
python tools/reproduce.py --list

Finished runs are skipped: after an interruption give the same command again. --jobs 4 runs four at a time, --launcher
slurm makes them jobs of a cluster. Other flags go to tools/train.py.
"""

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from openstl_svq import cli

TRAIN = Path(__file__).resolve().with_name("train.py")


def create_parser() -> argparse.ArgumentParser:
    parser = cli.Parser(__doc__, allow_abbrev=False)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--table", metavar="NAME", help="1 to 8, 12 to 15, B.1")
    what.add_argument("--figure", metavar="NAME", help="1, 2, 4, 5, 7 to 17")
    what.add_argument("--list", action="store_true", help="name the tables and figures, and end")
    parser.add_argument("--scale", default="paper", help="paper: as published; sample: small, in minutes")
    parser.add_argument("--seed", nargs="+", type=int, default=[0], metavar="N", help="default: 0")
    parser.add_argument("--data_root", default=None, help="folder of the datasets (default: ./data)")
    parser.add_argument("--res_dir", default="work_dirs", help="folder of all runs (default: work_dirs)")
    parser.add_argument("--ex_name", "-ex", default=None, help="folder of it (default: table_NAME or figure_NAME)")
    parser.add_argument("--cfg_options", nargs="+", default=[], metavar="KEY=VALUE", help="of every run")
    parser.add_argument("--dry_run", action="store_true", help="print plan, time and disk, and end")
    cli.add_launcher_flags(parser)
    return parser


def main():
    parser = create_parser()
    args, words = parser.parse_known_args()
    if not (args.table or args.figure or args.list):
        parser.error("give --table NAME, --figure NAME, or --list")

    from openstl_svq import sweep
    from openstl_svq.files import inside
    from openstl_svq.naming import choose
    from openstl_svq.report import write_report
    from openstl_svq.reproduce import compare, higher_is_better, list_plans, load_plan, published, runs, write
    from openstl_svq.sweep import results

    if args.list:
        plans = [load_plan(name, kind) for kind in ("table", "figure") for name in list_plans(kind)]
        print("\n".join(f"{plan.kind:6} {plan.name:4} {plan.title}" for plan in plans))
        return
    launcher = sweep.build_launcher(args)
    plan = load_plan(args.table or args.figure, "table" if args.table else "figure")
    choose("scale", args.scale, runs.SCALES)
    suffix = "" if args.scale == "paper" or plan.counted else f"_{args.scale}"
    name = args.ex_name or f"{plan.kind}_{plan.name}{suffix}"
    inside(args.res_dir, name, "--ex_name")
    folder = Path(args.res_dir, name)
    numbers = published(plan.name if plan.kind == "table" else "")
    if plan.counted:
        if args.dry_run:
            print(f"{len(plan.cells)} models are built and counted, in minutes on a CPU; nothing is trained")
            return
        from openstl_svq.reproduce.costs import count

        found = count(plan, lambda text: print(text, file=sys.stderr))
        text = write(plan, compare(plan, found, numbers, higher_is_better(plan)), folder, args.scale)
        print(f"{text}\n\ntables: {folder}/table.md, table.csv, table.tex")
        return
    data_root = Path(args.data_root or (folder / "data" if args.scale == "sample" else "data"))
    words += ["--data_root", str(data_root)]
    planned = runs.plan_runs(plan, args.seed, folder, scale=args.scale, words=words, options=args.cfg_options)
    if args.dry_run:
        show_plan(sweep, runs, planned, folder)
        return
    launcher.check([p.run for p in planned], folder)
    for p in planned:
        sweep.state(p.run, folder)  # a folder in the way is told before data are made
    if missing := runs.missing_data(planned):
        if args.scale == "paper":
            raise FileNotFoundError(runs.how_to_get(missing, data_root))
        runs.make_data(missing, data_root, print)

    def table():
        found = compare(plan, runs.results(planned, folder), numbers, higher_is_better(plan))
        return write(plan, found, folder, args.scale)

    failed = sweep.run_all([p.run for p in planned], folder, TRAIN, table, launcher)
    print(f"\n{table()}\n\ntables: {folder}/table.md, table.csv, table.tex")
    if plan.figures:
        from openstl_svq.reproduce.pictures import draw

        print("\n".join(map(str, draw(plan, planned, folder))))
    rows = sweep.runs_table([p.run for p in planned], folder, ("dataset", "config_file", "seed"), failed)
    print(f"runs: {results.write(rows, folder / results.FILE)}\nreport: {write_report(folder)}")
    if failed:
        sys.exit(sweep.failures(failed, len(planned), folder))


def show_plan(sweep: Any, runs: Any, planned: list, folder: Path):
    import torch

    costs, hours, unknown, disk = {}, 0.0, 0, 0
    for p in planned:
        state = sweep.state(p.run, folder)
        command = shlex.join(["python", "tools/train.py", *p.run.words])
        if state == "finished":
            print(f"finished  {command}")
            continue
        key = p.run.name.rpartition("_seed-")[0]
        costs[key] = found = costs.get(key) or runs.cost(p.run)
        hours, unknown = hours + (found.hours or 0.0), unknown + (found.hours is None)
        disk += found.disk
        time = "hours not known" if found.hours is None else f"{found.hours:8.1f} h"
        print(f"{time}, {found.seconds:.2f} s a step  {command}")
    rest = f"; {unknown} runs on data of unknown size are not counted" if unknown else ""
    cuda = torch.cuda.is_available()
    hours = f"{hours:,.0f} {'GPU-hours' if cuda else 'hours'} on {torch.cuda.get_device_name() if cuda else 'this CPU'}"
    print(f"{len(planned)} runs, at most {hours}, one after another{rest}; {disk / 1e9:.1f} GB of checkpoints")


if __name__ == "__main__":
    cli.main(main)
