"""Many runs, one for each combination of settings, and the table that compares them."""

from .run import (
    check_table,
    draw_curves,
    execute,
    failure,
    identity,
    last_line,
    locked,
    parse_axis,
    plan,
    runs_table,
    scores,
    state,
    summary_table,
    sweep,
    write_tables,
)

__all__ = [
    "check_table",
    "draw_curves",
    "execute",
    "failure",
    "identity",
    "last_line",
    "locked",
    "parse_axis",
    "plan",
    "runs_table",
    "scores",
    "state",
    "summary_table",
    "sweep",
    "write_tables",
]
