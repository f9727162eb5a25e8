"""A report: one self-contained HTML page about a run, a sweep or a table of the paper.

python tools/report.py work_dirs/NAME                               # -> work_dirs/NAME/report.html
python tools/report.py work_dirs/SWEEP --out for_you.html
python tools/report.py work_dirs/NAME --draw                        # the figures of tools/analyse.py first

It shows what was run, scores, pictures, configuration, costs and versions, and opens without a network.
"""

from pathlib import Path

from openstl_svq import cli


def main():
    parser = cli.Parser(__doc__)
    parser.add_argument("folder", metavar="RUN|SWEEP", help="folder of a run, or of a sweep")
    parser.add_argument("--out", "-o", default=None, metavar="HTML", help="the page (default: FOLDER/report.html)")
    parser.add_argument(
        "--draw",
        nargs="*",
        default=None,
        metavar="FIGURE",
        help="draw these figures of tools/analyse.py first, into FOLDER/figures; without names all of a run, and of a "
        "sweep those that compare its settings",
    )
    parser.add_argument("--data_root", default=None, help="for --draw: where the data lie now")
    parser.add_argument("--samples", type=int, default=64, help="for --draw: test windows, evenly spread")
    args = parser.parse_args()

    from openstl_svq.report import draw, write_report

    folder = Path(args.folder)
    if args.draw is not None:
        draw(folder, args.draw or None, data_root=args.data_root, samples=args.samples)
    print(write_report(folder, args.out))


if __name__ == "__main__":
    cli.main(main)
