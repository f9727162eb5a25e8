"""The paper's tables and figures: their plans, their published numbers, and what this machine gives beside them."""

from .comparison import compare, higher_is_better, write
from .plan import Cell, Plan, list_plans, load_plan
from .published import published

__all__ = ["Cell", "Plan", "compare", "higher_is_better", "list_plans", "load_plan", "published", "write"]
