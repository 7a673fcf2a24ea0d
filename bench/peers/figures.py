"""Sums of measurements. A measurement that failed to end counts as infinite, and makes what it takes part in so."""

import math
from collections.abc import Iterable
from typing import NamedTuple


class Spread(NamedTuple):
    median: float
    least: float
    most: float


def quantile(values: Iterable[float], part: float) -> float:
    """The value below which that part of all lies; not a number if there are none."""
    ordered = sorted(values)
    return ordered[round((len(ordered) - 1) * part)] if ordered else math.nan


def spread(values: Iterable[float]) -> Spread:
    ordered = sorted(values)
    if not ordered:
        return Spread(math.nan, math.nan, math.nan)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return Spread(median, ordered[0], ordered[-1])


def ratios(ours: Iterable[float], theirs: Iterable[float]) -> Spread:
    """Round by round, so that what else the machine did in a round is in both; then the middle of them."""
    return spread(divided(our, their) for our, their in zip(ours, theirs, strict=True))


def divided(ours: float, theirs: float) -> float:
    if math.isinf(ours) and math.isinf(theirs) or theirs == 0:
        return math.nan
    return ours / theirs
