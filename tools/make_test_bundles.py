"""Makes tests/bundles: models of a few hundred bytes that tell a red, green, blue or grey picture, and broken ones.

Run it after a change here, and commit what it writes: the Rust tests read the committed files.
"""

from pathlib import Path

import bundle
import deps  # noqa: F401
import numpy as np
import onnx
from onnx import helper, numpy_helper

from network import finish, save

BUNDLES = Path(__file__).resolve().parent.parent / "tests" / "bundles"
LABELS = [("red", "红"), ("green", "绿"), ("blue", "蓝"), ("grey", "灰")]

# A colour scores by how far its channel exceeds the others, grey by standing still: 9.4 to 5 for a dark red of
# (100, 0, 0), 5 to 0 for any grey.
WEIGHT = 12 * np.array([[2, -1, -1], [-1, 2, -1], [-1, -1, 2], [0, 0, 0]], np.float32)
BIAS = np.array([0, 0, 0, 5], np.float32)


def node(op: str, inputs: str, output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), [output], name=output, **attributes)


def head(weight: np.ndarray = WEIGHT) -> list[onnx.TensorProto]:
    return [
        numpy_helper.from_array(np.ascontiguousarray(weight), "head.weight"),
        numpy_helper.from_array(BIAS, "head.bias"),
    ]


def tints() -> onnx.ModelProto:
    nodes = [
        node("GlobalAveragePool", "input", "pool"),
        node("Flatten", "pool", "features"),
        node("Gemm", "features head.weight head.bias", "logits", transB=1),
    ]
    return finish(nodes, head(), ("input", ["batch", 3, 32, 32]), ("logits", ["batch", 4]))


def tints_nhwc() -> onnx.ModelProto:
    """The same, as other exporters write it: channels last, other names, MatMul and Add, probabilities."""
    nodes = [
        node("ReduceMean", "image", "pooled", axes=[1, 2], keepdims=0),
        node("MatMul", "pooled head.weight", "product"),
        node("Add", "product head.bias", "sum"),
        node("Softmax", "sum", "scores", axis=1),
    ]
    return finish(nodes, head(WEIGHT.T), ("image", ["batch", 32, 32, 3]), ("scores", ["batch", 4]))


def two_inputs() -> onnx.ModelProto:
    model = tints()
    nodes = [*model.graph.node[:-1], node("Gemm", "features head.weight head.bias", "half", transB=1)]
    nodes.append(node("Add", "half other", "logits"))
    io = ("input", ["batch", 3, 32, 32]), ("other", ["batch", 4]), ("logits", ["batch", 4])
    return finish(nodes, head(), *io, inputs=2)


def write(name: str, model: onnx.ModelProto, labels: list[tuple[str, str]] = LABELS, **fields: object) -> None:
    folder = BUNDLES / name / "1"
    folder.mkdir(parents=True, exist_ok=True)
    save(model, folder / "model.onnx")
    lines = [f"{index}\t\t{en}\t{zh}\n" for index, (en, zh) in enumerate(labels)]
    (folder / "labels.tsv").write_text("class\tid\ten\tzh\n" + "".join(lines), "utf-8")
    common = {"size": [32, 32], "resize": 32, "interpolation": "bilinear", "mean": [0.0] * 3, "std": [255.0] * 3}
    (folder / "bundle.toml").write_text(bundle.describe(name=name, **common | fields), "utf-8")
    bundle.seal(folder)


def main() -> None:
    write("tints", tints())
    nhwc = {"tensor": "image", "layout": "nhwc", "crop": "squash"}
    write("tints-nhwc", tints_nhwc(), **nhwc, output="scores", kind="probabilities", features="pooled")
    write("two-inputs", two_inputs())
    write("wrong-labels", tints(), LABELS[:3])


if __name__ == "__main__":
    main()
