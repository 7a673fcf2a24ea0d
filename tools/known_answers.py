"""Photographs whose answers are known, to tell a model that was built right from one that merely runs."""

from pathlib import Path

import deps  # noqa: F401
import numpy as np
import onnxruntime

from pictures import view

# EfficientNet-Lite0's leading classes in their order, and the least that the first of them must score.
LITE0 = [
    ("coffee.jpg", ["espresso"], [967], 0.99),
    ("chelsea.jpg", ["tiger cat", "Egyptian cat", "tabby"], [282, 285, 281], 0.3),
    ("rocket.jpg", ["missile"], [657], 0.4),
    ("motorcycle.jpg", ["moped", "motor scooter"], [665, 670], 0.6),
]


def open_session(model: Path, threads: int = 0) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads  # 0: one a core
    options.log_severity_level = 3  # That an input may be left out is no news.
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def scores(session: onnxruntime.InferenceSession, bundle: dict, photograph: Path) -> np.ndarray:
    inputs = {bundle["input"]["tensor"]: view(photograph, bundle["input"])}
    (logits,) = session.run([bundle["output"]["tensor"]], inputs)
    powers = np.exp((logits[0] - logits[0].max()) / bundle["temperature"])
    return powers / powers.sum()


def check(model: Path, bundle: dict, frames: Path) -> list[str]:
    """What is wrong with the model's answers; an empty list if they are all as they should be."""
    session = open_session(model)
    wrong = []
    for file, names, classes, least in LITE0:
        found = scores(session, bundle, frames / file)
        leading = found.argsort()[::-1][: len(classes)].tolist()
        if leading != classes or found[classes[0]] < least:
            got = f"got {leading} at {found[leading[0]]:.2f}"
            wrong.append(f"{file}: expected {', '.join(names)} (classes {classes}), {got}")
    return wrong
