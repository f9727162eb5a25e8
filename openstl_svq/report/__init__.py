"""One page of HTML about a run, a sweep or a table of the paper: what a person sends to a colleague."""

from .drawing import draw
from .page import write_report

__all__ = ["draw", "write_report"]
