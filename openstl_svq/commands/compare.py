"""Whether two sweeps differ: their runs paired by settings and seed, with intervals.

python tools/compare.py A/results.csv B/results.csv
python tools/compare.py work_dirs/A work_dirs/B --metrics mse ssim     # folders of sweeps

Runs without a partner are named, and what the sweeps were run with where that differs.
"""

from openstl_svq import cli


def main():
    parser = cli.Parser(__doc__)
    parser.add_argument("a", metavar="A", help="results.csv of a sweep, or its folder")
    parser.add_argument("b", metavar="B", help="that of another, or of the same elsewhere")
    parser.add_argument("--metrics", nargs="+", default=None, help="scores (default: mse, mae, ssim, psnr, lpips)")
    parser.add_argument("--out", default=None, metavar="CSV", help="write the comparison with all digits to this file")
    args = parser.parse_args()

    from openstl_svq.benchmarks.tables import Table
    from openstl_svq.sweep import results
    from openstl_svq.sweep.paired import compare_sweeps

    table = compare_sweeps(results.read(args.a), results.read(args.b), args.metrics)
    print(table.markdown())
    if args.out:
        keys = dict.fromkeys(key for row in table.rows for key in row if key != "text")
        results.write(Table({key: key for key in keys}, table.rows), args.out)
        print(args.out)


if __name__ == "__main__":
    cli.main(main)
