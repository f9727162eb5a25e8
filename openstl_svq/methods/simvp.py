"""SimVP, of either host."""

from ..host import SimVP, SimVP_Model
from .registry import Method, register_method


def downsampling(config: dict) -> int:
    """What the SimVP family divides height and width by: it halves the grid ``N_S // 2`` times."""
    return 2 ** (config.get("N_S", 4) // 2)


def check_downsampling(config: dict) -> None:
    """What does not divide so, and is not padded: OpenSTL's networks would fail in the first batch.

    Raises:
        ValueError: height or width of ``in_shape`` cannot be divided so.
    """
    stages, grid = config.get("N_S", 4), config["in_shape"][2:]
    factor = downsampling(config)
    if (pad := config.get("pad")) and pad % factor:
        raise ValueError(f"pad must be a multiple of {factor}, which the network divides the grid by, got {pad}.")
    if not pad and any(size % factor for size in grid):
        below = [max(factor, size // factor * factor) for size in grid]
        raise ValueError(
            f"frames of {grid[0]} x {grid[1]} cannot be divided by the downsampling of {factor} = 2 ** "
            f"(N_S // 2) with N_S = {stages}. Give --pad (pad=True), with which they are padded and forecasts cut back; "
            f"or lower N_S, or cut the data to {below[0]} x {below[1]} (for -d custom: crop = {below}, and in_shape with "
            "the same height and width)."
        )


register_method(Method("simvp", SimVP, SimVP_Model, multiple=downsampling, check=check_downsampling))
