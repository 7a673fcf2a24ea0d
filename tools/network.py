"""Builds the ONNX graph of an image classifier from its tensors, with batch norms folded into the convolutions."""

import math
from pathlib import Path

import deps  # noqa: F401
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Old enough for ONNX Runtime 1.16 and for the tools that read the graph, new enough for all that is used here.
OPSET = 13
IR_VERSION = 8


class NetworkError(Exception):
    """The tensors do not fit the architecture."""


class State:
    """The tensors of a checkpoint. Each is taken once, so that what is left over shows a wrong architecture."""

    def __init__(self, tensors: dict[str, np.ndarray]) -> None:
        self.left = {name: value for name, value in tensors.items() if not name.endswith(".num_batches_tracked")}

    def take(self, name: str) -> np.ndarray:
        try:
            value = self.left.pop(name)
        except KeyError:
            raise NetworkError(f"the checkpoint has no tensor {name}") from None
        if not np.isfinite(value).all():
            raise NetworkError(f"tensor {name} has values that are not finite")
        return value

    def finish(self) -> None:
        if self.left:
            raise NetworkError(f"the architecture has no place for tensors {', '.join(sorted(self.left))}")


class Network:
    """A graph in the making. Each method adds a layer and returns the name of its output."""

    def __init__(self, state: State, epsilon: float) -> None:
        self.state = state
        self.epsilon = epsilon
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
        return name

    def add(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def conv(
        self, x: str, name: str, norm: str, *, pads: tuple[int, int], stride: int = 1, depthwise: bool = False
    ) -> str:
        """A convolution and its batch norm as one; `pads` is (before, after), the same for both axes."""
        weight, bias = self._fold(self.state.take(f"{name}.weight"), norm)
        before, after = pads
        return self.add(
            "Conv",
            [x, self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)],
            name,
            kernel_shape=list(weight.shape[2:]),
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=weight.shape[0] if depthwise else 1,
        )

    def _fold(self, weight: np.ndarray, norm: str) -> tuple[np.ndarray, np.ndarray]:
        gamma, beta, mean, variance = (
            self.state.take(f"{norm}.{part}").astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        if weight.ndim != 4 or any(part.shape != weight.shape[:1] for part in (gamma, beta, mean, variance)):
            raise NetworkError(f"batch norm {norm} does not fit its convolution of shape {weight.shape}")
        # Only operations that IEEE 754 rounds exactly, so that every machine makes the same bytes.
        scale = gamma / np.sqrt(variance + self.epsilon)
        return weight.astype(np.float64) * scale[:, None, None, None], beta - mean * scale

    def relu(self, x: str) -> str:
        return self.add("Relu", [x], f"{x}.relu")

    def relu6(self, x: str) -> str:
        if not any(i.name == "six" for i in self.initializers):
            self.constant("zero", np.array(0))
            self.constant("six", np.array(6))
        return self.add("Clip", [x, "zero", "six"], f"{x}.relu6")

    def sum(self, x: str, y: str, name: str) -> str:
        return self.add("Add", [x, y], name)

    def max_pool(self, x: str, name: str) -> str:
        return self.add("MaxPool", [x], name, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])

    def head(self, x: str, layer: str) -> onnx.ModelProto:
        """Pooling and the linear layer, under the names that bundle.toml promises, and the finished model."""
        weight, bias = self.state.take(f"{layer}.weight"), self.state.take(f"{layer}.bias")
        self.state.finish()
        if weight.ndim != 2 or bias.shape != weight.shape[:1]:
            raise NetworkError(f"layer {layer} has weights {weight.shape} and a bias {bias.shape}")
        self.add("Flatten", [self.add("GlobalAveragePool", [x], "pool")], "features", axis=1)
        # An input that may be left out: then the features are as they are.
        gain = self.constant("feature_gain", np.ones(weight.shape[1]))
        self.add("Mul", ["features", gain], "evened_features")
        constants = [self.constant("head.weight", weight), self.constant("head.bias", bias)]
        self.add("Gemm", ["evened_features", *constants], "logits", transB=1)
        inputs = ("input", ["batch", 3, 224, 224]), (gain, [weight.shape[1]])
        return finish(self.nodes, self.initializers, *inputs, ("logits", ["batch", len(bias)]), inputs=2)


def finish(
    nodes: list[onnx.NodeProto],
    initializers: list[onnx.TensorProto],
    *io: tuple[str, list[str | int]],
    inputs: int = 1,
) -> onnx.ModelProto:
    """The checked model; of the named tensors in `io` the first `inputs` are its inputs, the others its outputs."""
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in io]
    graph = helper.make_graph(nodes, "classifier", infos[:inputs], infos[inputs:], initializers)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="glanced"
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def save(model: onnx.ModelProto, path: Path) -> None:
    """The same model gives the same bytes: its sha256 is in bundle.toml."""
    path.write_bytes(model.SerializeToString(deterministic=True))


def same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's "same" padding, which puts the odd pixel after."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
