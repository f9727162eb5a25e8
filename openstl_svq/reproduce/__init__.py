"""The paper's tables and figures: their plans, their published numbers, and what this machine gives beside them."""

from .comparison import compare, write
from .plan import Cell, Plan, list_plans, load_plan
from .published import published

__all__ = ["Cell", "Plan", "compare", "list_plans", "load_plan", "published", "write"]
