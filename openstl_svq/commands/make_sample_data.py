"""Writes a small dataset in the format that the loaders read, for ``tools/train.py -d NAME --data_root OUT``.

python tools/make_sample_data.py -d weather_t2m_5_625 --out data
python tools/make_sample_data.py -d weather_sample --years 10 --seed 1 --out data
"""

import inspect

from openstl_svq import cli


def main(words: list[str] | None = None):
    from openstl_svq.data import get_dataset
    from openstl_svq.naming import choose

    parser = cli.Parser(__doc__.splitlines()[0])
    parser.add_argument("--dataname", "-d", default="weather_sample", help="name of the dataset")
    parser.add_argument("--out", default="data", help="data root to write to; the dataset's own folder is made in it")
    parser.add_argument(
        "--source",
        default=None,
        help="synthetic: moving patterns, in seconds. gcm (weather only): a general circulation "
        'model\'s weather, needs pip install "openstl_svq[gcm]" (default: gcm for weather_sample, '
        "else synthetic)",
    )
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--years", default=None, type=float, help="gcm: length of the series (default: the dataset's)")
    parser.add_argument("--start_year", default=None, type=int, help="gcm: first year (default: the dataset's)")
    parser.add_argument("--hours", default=None, type=int, help="interval between the fields (default: the dataset's)")
    args = parser.parse_args(words)

    name, makers = args.dataname, get_dataset(args.dataname).makers
    if not makers:
        raise ValueError(f"nothing makes {name}: it is on no grid, or in no layout, that a source of data gives.")
    source = choose(f"source of {name}", args.source or next(iter(makers)), makers)
    takes = inspect.signature(makers[source]).parameters
    options = {k: v for k, v in vars(args).items() if k not in ("dataname", "out", "source") and v is not None}
    if strange := sorted(set(options) - set(takes)):
        raise ValueError(f"--{', --'.join(strange)}: {name} from {source} has no such option.")
    if "command" in takes:
        words = [
            f"--{key} {value}"
            for key, value in vars(args).items()
            if value is not None and key not in ("dataname", "out")
        ]
        options["command"] = " ".join(["tools/make_sample_data.py", "-d", name, *words])
    paths = makers[source](args.out, **options)
    print(f"{len(paths)} files, {sum(p.stat().st_size for p in paths) / 1e6:.1f} MB, in {args.out}")
    print(f"python tools/train.py -d {name} --data_root {args.out} ...")


if __name__ == "__main__":
    cli.main(main)
