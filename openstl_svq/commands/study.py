"""The rows of a study's runs, and what they say: every arm against its reference, with corrected intervals.

python tools/study.py work_dirs/study --rows docs/study/runs.csv      # rows of a sweep (its results.csv), table and figure,
                                                                      # and runs_dynamics.csv: latent, fold and blocks by step
python tools/study.py --rows docs/study/runs.csv                      # table and figure from the rows
python tools/study.py --rows docs/study/noise.csv --rise noise_ratio  # how much the scores rise with the noise

An arm is a configuration file, with the values of the sweep's other axes where it has some: the reference has the same.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from openstl_svq import cli

if TYPE_CHECKING:
    from openstl_svq.benchmarks.tables import Table


def dynamics(sweep: Path, rows: list[dict]) -> "Table":
    """What each arm's runs logged of latent, fold and blocks, by step: means over its runs, as a table."""
    import pandas as pd

    from openstl_svq.benchmarks.tables import Table
    from openstl_svq.figures.curves import DYNAMICS, training_curves

    wanted = [key for names in DYNAMICS.values() for key in names.values()]
    logged = []
    for row in rows:
        curves = training_curves(sweep / row["run"], by="step")
        columns = {key.replace(" ", "_"): pd.Series(curves[key][1], curves[key][0]) for key in wanted if key in curves}
        logged.append(pd.DataFrame(columns).rename_axis("step").reset_index().assign(arm=row["arm"]))
    means = pd.concat(logged).groupby(["arm", "step"], as_index=False).mean()
    return Table({key: key for key in means}, means.astype(object).where(means.notna(), None).to_dict("records"))


def references(arms: list[dict], axes: list[str], reference: str, own: dict[str, str]) -> dict[str, str]:
    """Arm -> the arm that it is compared with: the reference of its first axis, with its own values of the others."""
    from openstl_svq.sweep.results import arm_name

    first = axes[0]
    return {row["arm"]: arm_name({**row, first: own.get(row.get(first), reference)}, axes) for row in arms}


def main():
    parser = cli.Parser(__doc__)
    parser.add_argument("sweep", nargs="?", help="folder of a sweep over configuration files and seeds: writes ROWS")
    parser.add_argument("--rows", required=True, metavar="CSV", help="the rows; the figure lies beside them")
    parser.add_argument("--reference", default="SimVP_MAE", help="configuration that others are compared with")
    parser.add_argument(
        "--against",
        nargs="+",
        default=["VQ=SimVP_MSE", "ResidualVQ=SimVP_MSE"],
        metavar="CONFIG=REFERENCE",
        help="configurations with another reference",
    )
    parser.add_argument(
        "--rise", metavar="AXIS", help="compare scores as multiples of those at the least value of this axis"
    )
    args = parser.parse_args()

    from openstl_svq.figures.paired import plot_paired
    from openstl_svq.figures.style import save
    from openstl_svq.sweep import results
    from openstl_svq.sweep.paired import compare, rise

    path = Path(args.rows)
    if args.sweep:
        table = results.read(args.sweep)
        results.write(table, path)
        results.write(dynamics(Path(args.sweep), results.arms(table)), path.with_name(f"{path.stem}_dynamics.csv"))
    table = results.read(path)
    rows, axes = results.arms(table), results.several(table)
    if args.rise:
        rows = rise(rows, [axis for axis in axes if axis != args.rise], args.rise)
        path = path.with_name(f"{path.stem}_rise.csv")
    present = {row.get(axes[0]) for row in rows}
    own = dict(word.partition("=")[::2] for word in args.against)
    own = {name: other for name, other in own.items() if {name, other} <= present}
    table = compare(rows, references(rows, axes, args.reference, own))
    print(table.markdown())
    print(save(plot_paired(table.rows), path.with_suffix(".png")))


if __name__ == "__main__":
    cli.main(main)
