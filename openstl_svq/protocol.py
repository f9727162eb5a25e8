"""How data are split, normalised and cut into windows: honestly, as OpenSTL does it, or one difference at a time."""

from .naming import choose

STRICT, OPENSTL = "strict", "openstl"

# What OpenSTL does otherwise than `strict`. All but the first concern weather.
DIFFERENCES = {
    "selection": "the best checkpoint is chosen on the test set",
    "statistics": "each split is normalised with its own statistics, and brought back with the training split's",
    "steps": "idx_in and idx_out of the dataset apply the factor 6 of the six-hourly sets twice",
    "windows": "windows run across gaps in time, and the last steps are left out",
}


def differences(protocol: str) -> frozenset[str]:
    """Which of `DIFFERENCES` a protocol has: none (``strict``), all (``openstl``), or those of ``strict+NAME+NAME``.

    Raises:
        ValueError: an unknown protocol or difference.
    """
    base, *names = protocol.split("+")
    choose("protocol", base, (STRICT, OPENSTL))
    if base == OPENSTL:
        if names:
            raise ValueError(
                f"protocol {protocol!r}: {OPENSTL} has every difference already; use {OPENSTL}, or "
                f"{STRICT} with some of {', '.join(DIFFERENCES)}, as in {STRICT}+{names[0]}."
            )
        return frozenset(DIFFERENCES)
    return frozenset(choose("difference of a protocol", name, DIFFERENCES) for name in names)


def describe(protocol: str) -> str:
    """What ``protocol`` means, for the start of a run."""
    if protocol == OPENSTL:
        return f"OpenSTL's splits and indices: {DIFFERENCES['selection']}"
    taken = [text for name, text in DIFFERENCES.items() if name in differences(protocol)]
    honest = "validation on the validation split, the training split's statistics everywhere"
    return f"as OpenSTL: {'; '.join(taken)}; else {honest}" if taken else honest
