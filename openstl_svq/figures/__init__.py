"""One figure, one file: a function from arrays to a matplotlib figure, and its name for ``tools/analyse.py``."""

from .registry import draw_figures, draw_run, list_figures, register_figure

__all__ = ["draw_figures", "draw_run", "list_figures", "register_figure"]
