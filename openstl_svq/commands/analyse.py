"""Figures of trained runs: what the quantizer does to the latent, and where the forecast is wrong.

python tools/analyse.py work_dirs/NAME                           # all that apply, into work_dirs/NAME/figures
python tools/analyse.py work_dirs/A work_dirs/B --only spectra weights
python tools/analyse.py --list
"""

from pathlib import Path

from openstl_svq import cli


def main():
    parser = cli.Parser(__doc__)
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="run folders, checkpoints, or weather_sample, the packaged model"
    )
    parser.add_argument("--only", nargs="+", metavar="FIGURE", help="names of figures (default: all that apply)")
    parser.add_argument("--out", default=None, help="folder of the figures (default: RUN/figures of the first run)")
    parser.add_argument("--data_root", default=None, help="where the data lie now, if not where they lay in training")
    parser.add_argument("--samples", type=int, default=64, help="test windows, evenly spread (default: 64)")
    parser.add_argument("--list", action="store_true", help="name the figures and end")
    args = parser.parse_args()

    from openstl_svq.figures import draw_figures, list_figures
    from openstl_svq.figures.trained_run import TrainedRun

    if args.list:
        width = max(map(len, list_figures()))
        print("\n".join(f"{name:{width}}  {text}" for name, text in list_figures().items()))
        return
    runs = [TrainedRun(place, data_root=args.data_root, samples=args.samples) for place in args.runs]
    out = Path(args.out) if args.out else runs[0].folder / "figures" if runs else Path(".")
    for path in draw_figures(runs, args.only, out):
        print(path)


if __name__ == "__main__":
    cli.main(main)
