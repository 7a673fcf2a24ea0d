"""The answers of the program on two machines, side by side."""

# Floating point adds up in another order there.
TOLERANCE = 0.01


def differences(there: list[dict], here: list[dict]) -> list[str]:
    """What is not the same in two lists of results of `glanced classify --json`: files, classes, their order, scores."""
    if len(there) != len(here):
        return [f"{len(there)} results there, {len(here)} here"]
    return [text for one, other in zip(there, here, strict=True) if (text := _difference(one, other))]


def _difference(there: dict, here: dict) -> str | None:
    if "error" in there or "error" in here:
        return f"{there['file']}: {there.get('error')} there, {here.get('error')} here"
    ours, theirs = _told(here), _told(there)
    same = there["file"] == here["file"] and [c for c, _ in theirs] == [c for c, _ in ours]
    if same and all(abs(score - other) <= TOLERANCE for (_, score), (_, other) in zip(theirs, ours, strict=True)):
        return None
    return f"{there['file']}: {theirs} there, {ours} here"


def _told(result: dict) -> list[tuple[str, float]]:
    return [(entry["label"], entry["score"]) for entry in result["top3"]]
