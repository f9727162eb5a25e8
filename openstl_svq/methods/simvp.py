"""SimVP, of either host."""

from ..host import SimVP, SimVP_Model
from .registry import Method, register_method


def check_downsampling(config: dict) -> None:
    """The SimVP family halves the grid ``N_S // 2`` times; OpenSTL's networks would fail in the first batch.

    Raises:
        ValueError: height or width of ``in_shape`` cannot be divided so.
    """
    stages, grid = config.get("N_S", 4), config["in_shape"][2:]
    factor = 2 ** (stages // 2)
    if any(size % factor for size in grid):
        below = [max(factor, size // factor * factor) for size in grid]
        raise ValueError(
            f"frames of {grid[0]} x {grid[1]} cannot be divided by the downsampling of {factor} = 2 ** "
            f"(N_S // 2) with N_S = {stages}. Lower N_S, or cut the data to {below[0]} x {below[1]} (for "
            f"-d custom: crop = {below}, and in_shape with the same height and width)."
        )


register_method(Method("simvp", SimVP, SimVP_Model, check=check_downsampling))
