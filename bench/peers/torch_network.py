"""The bundle's network as a TorchScript file, for peer b: the same weights in torch. Only the operators that it has."""

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper


class Graph(torch.nn.Module):
    """Goes through the ONNX graph node by node; traced, nothing of that is left."""

    def __init__(self, model: onnx.ModelProto, output: str) -> None:
        super().__init__()
        self.nodes, self.output = list(model.graph.node), output
        arrays = {tensor.name: np.array(numpy_helper.to_array(tensor)) for tensor in model.graph.initializer}
        self.constants = {name: torch.from_numpy(array) for name, array in arrays.items()}
        (self.image,) = (given.name for given in model.graph.input if given.name not in self.constants)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        values = self.constants | {self.image: image}
        for node in self.nodes:
            attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
            inputs = [values[name] for name in node.input]
            values[node.output[0]] = compute(node.op_type, inputs, attributes)
        return values[self.output]


def compute(operator: str, inputs: list[torch.Tensor], attributes: dict) -> torch.Tensor:
    match operator:
        case "Conv":
            image, weight, bias = inputs
            top, left, bottom, right = attributes["pads"]
            padded = torch.nn.functional.pad(image, (left, right, top, bottom))
            return torch.conv2d(padded, weight, bias, attributes["strides"], groups=attributes.get("group", 1))
        case "Clip":
            return torch.clamp(inputs[0], float(inputs[1]), float(inputs[2]))
        case "Add":
            return inputs[0] + inputs[1]
        case "Mul":
            return inputs[0] * inputs[1]
        case "GlobalAveragePool":
            return inputs[0].mean((2, 3), keepdim=True)
        case "Flatten":
            return torch.flatten(inputs[0], attributes["axis"])
        case "Gemm":
            return torch.nn.functional.linear(*inputs) if attributes["transB"] else torch.addmm(inputs[2], *inputs[:2])
    raise SystemExit(f"torch_network: the operator {operator} is not known here")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("output", help="the name of the output wanted")
    parser.add_argument("script", type=Path, help="the file to write")
    options = parser.parse_args()
    with torch.no_grad():
        graph = Graph(onnx.load(options.model), options.output).eval()
        torch.jit.trace(graph, torch.zeros(1, 3, 224, 224)).save(str(options.script))


if __name__ == "__main__":
    main()
