"""A table of the paper: trains what it needs, and prints the results beside the published numbers.

python tools/reproduce.py --table 3 --data_root DATA --seed 0 1 2
python tools/reproduce.py --table 7 --scale sample             # small models on sample data: minutes
python tools/reproduce.py --table 3 --dry_run                  # the runs, their time and disk; nothing is trained
python tools/reproduce.py --list

Finished runs are skipped: after an interruption give the same command again. Other flags go to tools/train.py.
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
    parser.add_argument("--table", metavar="NAME", help="1 to 8, 13 to 15, B.1 (Table 12: tools/benchmark.py cost)")
    parser.add_argument("--list", action="store_true", help="name the tables and end")
    parser.add_argument("--scale", default="paper", help="paper: as published; sample: small, in minutes")
    parser.add_argument("--seed", nargs="+", type=int, default=[0], metavar="N", help="default: 0")
    parser.add_argument("--data_root", default=None, help="folder of the datasets (default: ./data)")
    parser.add_argument("--res_dir", default="work_dirs", help="folder of all runs (default: work_dirs)")
    parser.add_argument("--ex_name", "-ex", default=None, help="folder of this table in it (default: table_NAME)")
    parser.add_argument("--cfg_options", nargs="+", default=[], metavar="KEY=VALUE", help="of every run")
    parser.add_argument("--dry_run", action="store_true", help="print plan, time and disk, and end")
    cli.add_launcher_flags(parser)
    return parser


def main():
    parser = create_parser()
    args, words = parser.parse_known_args()

    from openstl_svq import sweep
    from openstl_svq.files import inside
    from openstl_svq.metrics import find_metric
    from openstl_svq.naming import choose
    from openstl_svq.report import write_report
    from openstl_svq.reproduce import compare, list_plans, load_plan, published, runs, write
    from openstl_svq.sweep import results

    if args.list:
        print("\n".join(f"{name:4} {load_plan(name).title}" for name in list_plans()))
        return
    if not args.table:
        parser.error("give --table NAME, or --list")
    launcher = sweep.build_launcher(args)
    plan = load_plan(args.table)
    choose("scale", args.scale, runs.SCALES)
    suffix = "" if args.scale == "paper" else f"_{args.scale}"
    name = args.ex_name or f"table_{plan.name}{suffix}"
    inside(args.res_dir, name, "--ex_name")
    folder = Path(args.res_dir, name)
    data_root = Path(args.data_root or (folder / "data" if args.scale == "sample" else "data"))
    words += ["--data_root", str(data_root)]
    planned = runs.plan_runs(plan, args.seed, folder, scale=args.scale, words=words, options=args.cfg_options)
    if args.dry_run:
        show_plan(runs, planned)
        return
    if missing := runs.missing_data(planned):
        if args.scale == "paper":
            raise FileNotFoundError(
                "data are not there:\n" + "\n".join(f"  {name}: {why}" for name, why in missing.items())
            )
        runs.make_data(missing, data_root, print)

    def table():
        better = [m for m in plan.metrics if (found := find_metric(m)) is not None and not found.lower_is_better]
        return compare(plan, runs.results(planned, folder), published(plan.name), better)

    failed = sweep.run_all(
        [p.run for p in planned], folder, TRAIN, lambda: write(plan, table(), folder, args.scale), launcher
    )
    print(f"\n{write(plan, table(), folder, args.scale)}\n\ntables: {folder}/table.md, table.csv, table.tex")
    rows = sweep.runs_table([p.run for p in planned], folder, ("dataset", "config_file", "seed"), failed)
    print(f"runs: {results.write(rows, folder / results.FILE)}\nreport: {write_report(folder)}")
    if failed:
        sys.exit(sweep.failures(failed, len(planned), folder))


def show_plan(runs: Any, planned: list):
    costs, hours, unknown = {}, 0.0, 0
    for p in planned:
        key = p.run.name.rpartition("_seed-")[0]
        costs[key] = found = costs.get(key) or runs.cost(p.run)
        hours, unknown = hours + (found.hours or 0.0), unknown + (found.hours is None)
        time = "hours not known" if found.hours is None else f"{found.hours:8.1f} h"
        print(f"{time}, {found.seconds:.2f} s a step  {shlex.join(['python', 'tools/train.py', *p.run.words])}")
    disk = sum(costs[p.run.name.rpartition("_seed-")[0]].disk for p in planned) / 1e9
    rest = f"; {unknown} runs on data of unknown size are not counted" if unknown else ""
    print(
        f"{len(planned)} runs, at most {hours:,.0f} hours on this machine one after another{rest}; {disk:.1f} GB of checkpoints"
    )


if __name__ == "__main__":
    cli.main(main)
