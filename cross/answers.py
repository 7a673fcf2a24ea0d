"""The answers of the program on two machines, side by side."""

from typing import NamedTuple


class Exactness(NamedTuple):
    """How many of the best classes must be the same, and by how much their scores may differ."""

    classes: int
    tolerance: float


# Floating point adds up in another order there; and where it comes out on the other side of a half, a byte is another one.
EXACTNESS = {"fp32": Exactness(3, 0.01), "int8": Exactness(1, 0.1)}


def differences(there: list[dict], here: list[dict], exactness: Exactness = EXACTNESS["fp32"]) -> list[str]:
    """What is not the same in two lists of results of `glanced classify --json`: classes, their order, scores."""
    if len(there) != len(here):
        return [f"{len(there)} results there, {len(here)} here"]
    return [text for one, other in zip(there, here, strict=True) if (text := _difference(one, other, exactness))]


def _difference(there: dict, here: dict, exactness: Exactness) -> str | None:
    if "error" in there or "error" in here:
        return f"{there['file']}: {there.get('error')} there, {here.get('error')} here"
    ours, theirs = _told(here)[: exactness.classes], _told(there)[: exactness.classes]
    same = there["file"] == here["file"] and [c for c, _ in theirs] == [c for c, _ in ours]
    if same and all(abs(score - other) <= exactness.tolerance for (_, score), (_, other) in zip(theirs, ours, strict=True)):
        return None
    return f"{there['file']}: {theirs} there, {ours} here"


def _told(result: dict) -> list[tuple[str, float]]:
    return [(entry["label"], entry["score"]) for entry in result["top3"]]
