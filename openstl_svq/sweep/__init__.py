"""Many runs, one for each combination of settings, and the tables that compare them.

A sweep owns the folder ``res_dir/ex_name``; every run of it is a run folder there, as ``tools/train.py`` makes it::

    NAME/                     config.py, checkpoints/, metrics.json, ...
    logs/NAME.log             what the run printed
    logs/jobs/                what submitit keeps of the jobs of a cluster
    results.csv               one row for every run: settings, state, scores, costs, versions
    summary.md, summary.csv   over seeds: mean, spread, paired difference to the baseline
    curves.png                validation loss and perplexity of all runs by epoch
"""

from ..jobs import failure, last_line, scores
from .launchers import Launcher, LocalLauncher, SlurmLauncher, SubmititLauncher, build_launcher
from .plan import Run, build_models, identity, parse_axis, plan
from .results import runs_table
from .run import failures, locked, run_all, state, sweep
from .summary import check_table, draw_curves, summary_table, write_tables

__all__ = [
    "Launcher",
    "LocalLauncher",
    "Run",
    "SlurmLauncher",
    "SubmititLauncher",
    "build_launcher",
    "build_models",
    "check_table",
    "draw_curves",
    "failure",
    "failures",
    "identity",
    "last_line",
    "locked",
    "parse_axis",
    "plan",
    "run_all",
    "runs_table",
    "scores",
    "state",
    "summary_table",
    "sweep",
    "write_tables",
]
