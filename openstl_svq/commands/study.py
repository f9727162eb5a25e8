"""The rows of a study's runs, and what they say: every arm against its reference, with corrected intervals.

python tools/study.py work_dirs/study --rows docs/study/runs.csv      # rows of a sweep (its results.csv), table and figure
python tools/study.py --rows docs/study/runs.csv                      # table and figure from the rows
"""

from pathlib import Path

from openstl_svq import cli


def main():
    parser = cli.Parser(__doc__)
    parser.add_argument("sweep", nargs="?", help="folder of a sweep over configuration files and seeds: writes ROWS")
    parser.add_argument("--rows", required=True, metavar="CSV", help="the rows; the figure lies beside them")
    parser.add_argument("--reference", default="SimVP_MAE", help="the arm that others are compared with")
    parser.add_argument(
        "--against", nargs="+", default=["VQ=SimVP_MSE"], metavar="ARM=REFERENCE", help="arms with another reference"
    )
    args = parser.parse_args()

    from openstl_svq.figures.paired import plot_paired
    from openstl_svq.figures.style import save
    from openstl_svq.sweep import results
    from openstl_svq.sweep.paired import compare

    path = Path(args.rows)
    if args.sweep:
        results.write(results.read(args.sweep), path)
    rows = results.arms(results.read(path))
    arms = {row["arm"] for row in rows}
    own = dict(word.partition("=")[::2] for word in args.against)
    table = compare(rows, args.reference, {arm: other for arm, other in own.items() if {arm, other} <= arms})
    print(table.markdown())
    print(save(plot_paired(table.rows), path.with_suffix(".png")))


if __name__ == "__main__":
    cli.main(main)
