"""What was measured, as text: medians with the least and the most, and the ratio of the first contender to each other one."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from figures import Spread, ratios, spread


class Cell(NamedTuple):
    """One value of each round for each contender."""

    cores: int
    frame: str  # "" where it does not matter
    measure: str


# Of a cell, for each contender, its rounds.
Rounds = dict[Cell, dict[str, list[float]]]

PER_FRAME = ("frames/s", "CPU s/1000", "p50 own", "p99 own", "p50 common", "p99 common")
PER_RUN = ("RSS MiB", "PSS MiB", "start ms")
WIDTH = 21


def number(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def text(figure: Spread) -> str:
    return f"{number(figure.median)} ({number(figure.least)}..{number(figure.most)})"


def blocks(rounds: Rounds, names: Sequence[str]) -> Iterator[str]:
    first, *others = names
    for cores, frame in dict.fromkeys((cell.cores, cell.frame) for cell in rounds):
        measures = PER_FRAME if frame else PER_RUN
        what = frame or "memory after the runs, start to the first result"
        yield f"{cores} core{'s' * (cores > 1)}, {what}"
        yield f"  {'':10}" + "".join(f"{measure:>{WIDTH}}" for measure in measures)
        cells = [rounds[Cell(cores, frame, measure)] for measure in measures]
        for name in names:
            yield f"  {name:10}" + "".join(f"{text(spread(cell[name])):>{WIDTH}}" for cell in cells)
        for name in others:
            row = (text(ratios(cell[first], cell[name])) for cell in cells)
            yield f"  {f'{first}/{name}':10}" + "".join(f"{each:>{WIDTH}}" for each in row)
        yield ""


def as_json(rounds: Rounds, names: Sequence[str]) -> list[dict]:
    """A row for each cell and contender; `ratio` is that of the first contender to this one."""
    rows, first = [], names[0]
    for cell, values in rounds.items():
        for name in names:
            row = {"cores": cell.cores, "frame": cell.frame, "measure": cell.measure, "contender": name}
            row |= {"rounds": [finite(value) for value in values[name]], "spread": as_numbers(spread(values[name]))}
            rows.append(row | {"ratio": as_numbers(ratios(values[first], values[name]))})
    return rows


def as_numbers(figure: Spread) -> dict[str, float | None]:
    return {key: finite(value) for key, value in figure._asdict().items()}


def finite(value: float) -> float | None:
    """JSON has no infinity; a frame that was lost took forever."""
    return round(value, 4) if math.isfinite(value) else None
