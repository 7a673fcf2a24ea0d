"""Whether two contenders do the same job: what they see in the same picture."""

# Two classes whose scores are so close for one are the same for all: another arithmetic may have them the other way round.
CLOSE = 0.05


def agree(answer: dict, expected: dict) -> bool:
    """Whether the best class is the expected one, or one that was as good as that."""
    scores = {each["class"]: each["score"] for each in expected["top3"]}
    return scores.get(answer["top3"][0]["class"], 0.0) >= expected["top3"][0]["score"] - CLOSE


def best(answer: dict) -> str:
    return f"{answer['top3'][0]['label']} ({answer['top3'][0]['score']:.2f})"
