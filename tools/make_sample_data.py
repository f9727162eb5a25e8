"""Writes a small dataset in the format that the loaders read, for ``tools/train.py -d NAME --data_root OUT``.

python tools/make_sample_data.py -d weather_t2m_5_625 --out data
python tools/make_sample_data.py -d weather_sample --years 10 --seed 1 --out data
"""

import argparse
from pathlib import Path

from openstl_svq import cli


def weather(name, entry, root, source, args) -> list[Path]:
    """A weather dataset's files, from either source."""
    from openstl_svq.data import gcm, synthetic
    from openstl_svq.data.datasets.weather import GROUPS
    from openstl_svq.data.sample import SAMPLE_DATASETS, SAMPLE_MONTHS, SAMPLE_PRECISION

    if entry["in_shape"][2:] != [32, 64]:
        raise ValueError(
            f"{name} lies on {entry['in_shape'][2]} x {entry['in_shape'][3]} points; both sources give 32 x 64."
        )
    sample = name in SAMPLE_DATASETS
    variables = GROUPS[entry["data_name"]]
    hours = args.hours or (6 if sample else 1)
    begins = [int(entry[split][0][:4]) for split in ("train_time", "val_time", "test_time")]
    first, last = begins[0], int(entry["test_time"][1][:4])
    given = {key: value for key, value in vars(args).items() if value is not None and key not in ("out", "dataname")}
    common = {
        "hours": hours,
        "levels": entry.get("level", [850, 1000]),
        "seed": args.seed,
        "command": " ".join(["tools/make_sample_data.py", "-d", name, *(f"--{k} {v}" for k, v in given.items())]),
    }
    if source == "gcm":
        months = round(12 * args.years) if args.years else SAMPLE_MONTHS if sample else 12 * (last - first + 1)
        return gcm.generate(
            root / "weather",
            variables,
            months=months,
            start_year=args.start_year or first,
            precision=SAMPLE_PRECISION if sample else None,
            **common,
        )
    if sample:
        return synthetic.weather(root / "weather", variables, dict.fromkeys(range(first, last + 1), 365), **common)
    # Every year of the splits is there, most of them with a day; those that begin a split have room for windows, as the
    # protocol openstl takes them too.
    steps = entry["idx_out"][-1] - entry["idx_in"][0] + 2 if "idx_in" in entry else entry["total_length"] + 1
    window = steps * max(hours, entry.get("step", 1)) // 24 + 2
    spans = {year: window if year in begins else 1 for year in range(first, last + 1)}
    return synthetic.weather(root / "weather", variables, spans, **common)


def main(words=None):
    from openstl_svq.data import dataset_parameters, synthetic
    from openstl_svq.data.sample import SAMPLE_DATASETS
    from openstl_svq.naming import choose

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataname", "-d", default="weather_sample", help="name of the dataset")
    parser.add_argument("--out", default="data", help="data root to write to; the dataset's own folder is made in it")
    parser.add_argument(
        "--source",
        default=None,
        choices=["synthetic", "gcm"],
        help="synthetic: moving patterns, in seconds. gcm (weather only): a general circulation "
        'model\'s weather, needs pip install "openstl_svq[gcm]" (default: gcm for weather_sample, '
        "else synthetic)",
    )
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--years", default=None, type=float, help="gcm: length of the series (default: the dataset's)")
    parser.add_argument("--start_year", default=None, type=int, help="gcm: first year (default: the dataset's)")
    parser.add_argument("--hours", default=None, type=int, help="interval between the fields (default: the dataset's)")
    args = parser.parse_args(words)

    name = choose("dataset", args.dataname, dataset_parameters)
    source = args.source or ("gcm" if name in SAMPLE_DATASETS else "synthetic")
    if source == "synthetic" and (args.years or args.start_year):
        raise ValueError(
            "--years and --start_year are for --source gcm: synthetic data have the years of the dataset's splits."
        )
    root = Path(args.out) / name if name in SAMPLE_DATASETS else Path(args.out)
    others = {
        "taxibj": synthetic.taxibj,
        "kth": synthetic.kth,
        "kth20": synthetic.kth,
        "kth40": synthetic.kth,
        "human": synthetic.human,
        "kitticaltech": synthetic.kitticaltech,
    }
    if "weather" in name:
        paths = weather(name, dataset_parameters[name], root, source, args)
    elif source == "gcm" or name not in others:
        raise ValueError(
            f"nothing makes {name} from {source}: gcm is for weather, synthetic also for {', '.join(others)}."
        )
    else:
        paths = others[name](root, seed=args.seed)
    print(f"{len(paths)} files, {sum(p.stat().st_size for p in paths) / 1e6:.1f} MB, in {root}")
    print(f"python tools/train.py -d {name} --data_root {args.out} ...")


if __name__ == "__main__":
    cli.main(main)
