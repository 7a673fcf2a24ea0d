"""Makes the int8 form of a network: from the network, and from the ranges that its tensors had on photographs.

Convolutions, and what lies between them, compute with bytes; the first convolution and the head stay float32. The
ranges are text, so that the same file is made of them anywhere, without the photographs.
"""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import deps  # noqa: F401
import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationMethod,
    QDQQuantizer,
    QuantType,
    TensorData,
    TensorsData,
    create_calibrator,
)

# What is not named here stays float32. An activation is not computed at all: the range of its output cuts off like it.
OPERATORS = ["Conv", "Relu", "Clip", "Add", "MaxPool"]
HEADER = "tensor\tlow\thigh\n"
# Lowest and highest value by the tensor's name.
Ranges = dict[str, tuple[float, float]]


class Int8Error(Exception):
    """The network can't be quantised."""


def calibrate(path: Path, inputs: Iterable[dict[str, np.ndarray]]) -> Ranges:
    """The lowest and highest values that the tensors take on these inputs."""
    model = onnx.load(path)
    onnxruntime.set_default_logger_severity(3)  # That an input may be left out is no news.
    with tempfile.TemporaryDirectory() as folder:
        calibrator = create_calibrator(path, OPERATORS, str(Path(folder) / "augmented.onnx"), CalibrationMethod.MinMax)
        calibrator.collect_data(Reader(iter(inputs)))
        found = calibrator.compute_data()
    ranges = {name: tuple(value.item() for value in data.range_value) for name, data in found.items()}
    order = [value.name for value in model.graph.input] + [name for node in model.graph.node for name in node.output]
    return {name: ranges[name] for name in order if name in ranges}


class Reader:
    """The inputs one after another, as the calibrator wants them."""

    def __init__(self, inputs: Iterator[dict[str, np.ndarray]]) -> None:
        self.inputs = inputs

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.inputs, None)


def write_ranges(ranges: Ranges) -> str:
    # Six digits are a ten-thousandth of the step between two bytes.
    return HEADER + "".join(f"{name}\t{low:.6g}\t{high:.6g}\n" for name, (low, high) in ranges.items())


def read_ranges(text: str) -> Ranges:
    if not text.startswith(HEADER):
        raise Int8Error("ranges: the first line must be the header: tensor, low, high")
    ranges = {}
    for number, line in enumerate(text.splitlines()[1:], start=2):
        try:
            name, low, high = line.split("\t")
            ranges[name] = float(low), float(high)
        except ValueError:
            raise Int8Error(f"ranges, line {number}: a tensor and two numbers should stand here") from None
        if not -np.inf < ranges[name][0] <= ranges[name][1] < np.inf:
            raise Int8Error(f"ranges, line {number}: these are not a lowest and a highest value")
    return ranges


def quantise(path: Path, ranges: Ranges, head: dict[str, str], bits: int) -> bytes:
    """The int8 form as a file; `head` is that of the bundle. See `every_processor` for 7 bits."""
    model = onnx.load(path)
    original = onnx.ModelProto()
    original.CopyFrom(model)
    opset = next((used.version for used in model.opset_import if used.domain in ("", "ai.onnx")), 0)
    if opset < 13:
        raise Int8Error(f"the network is of ONNX opset {opset}, in which weights have no scales by channel: 13 is needed")
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    if len(convolutions) < 2:
        raise Int8Error("the network has no convolutions behind the first one: nothing in it would be int8")
    for node in model.graph.node:
        node.name = node.name or node.output[0]  # What has no name can't be left out.
    # The first convolution has few weights, which matter much, and takes no less time in bytes.
    floats = [convolutions[0].name, *(node.name for node in behind(model.graph, head.get("features")))]
    data = {name: TensorData(lowest=np.float32(low), highest=np.float32(high)) for name, (low, high) in ranges.items()}
    try:
        quantizer = QDQQuantizer(
            model,
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=TensorsData(CalibrationMethod.MinMax, data),
            nodes_to_quantize=[],
            nodes_to_exclude=floats,
            op_types_to_quantize=OPERATORS,
            extra_options={"TensorQuantOverrides": every_processor(model.graph) if bits == 7 else {}},
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
    except (ValueError, RuntimeError) as error:
        raise Int8Error(str(error)) from error
    made = quantizer.model.model
    for constant in made.graph.initializer:
        constant.ClearField("data_location")  # The library writes it out, though it says nothing.
    onnx.checker.check_model(made, full_check=True)
    check_structure(original.graph, made.graph, head)
    return made.SerializeToString(deterministic=True)


def weight_bits(wanted: str, processor: str) -> int:
    """What "auto" stands for on a processor, of which Linux says `flags` on x86, and something else on ARM."""
    if wanted != "auto":
        return int(wanted)
    flags = {word for line in processor.splitlines() if line.startswith("flags") for word in line.split()}
    return 8 if not flags or flags & {"avx512_vnni", "avx_vnni"} else 7


def every_processor(graph: onnx.GraphProto) -> dict[str, list[dict]]:
    """Scales of the weights, by channel, with which processors without VNNI compute the same.

    These add two products of an unsigned and a signed byte in 16 bits, and what exceeds that is cut off. So two weights
    that lie side by side, channels last, may be 128 together: 7 bits each on average, while one alone may have 8. The
    usual way out, 7 bits for each, moves answers thrice as far. Depthwise convolutions are computed in 32 bits.
    """
    constants = {constant.name: constant for constant in graph.initializer}
    scales = {}
    for node in graph.node:
        if node.op_type != "Conv" or node.input[1] not in constants:
            continue
        weight = numpy_helper.to_array(constants[node.input[1]])
        groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        if weight.shape[1] == 1 and groups == weight.shape[0]:
            continue
        rows = np.moveaxis(weight, 1, -1).reshape(len(weight), -1)
        rows = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2)))
        most = np.maximum(np.abs(rows).max(1), np.abs(rows[:, ::2] + rows[:, 1::2]).max(1))
        scale = np.where(most > 0, most / np.float32(127), np.float32(1))
        scales[node.input[1]] = [
            {"quant_type": QuantType.QInt8, "axis": 0, "scale": one, "zero_point": np.int8(0)} for one in scale
        ]
    return scales


def behind(graph: onnx.GraphProto, tensor: str | None) -> list[onnx.NodeProto]:
    """The node that makes the tensor, and all that come of it."""
    known, found = {tensor}, []
    for node in graph.node:
        if known.intersection(node.input) or tensor in node.output:
            known.update(node.output)
            found.append(node)
    return found


def check_structure(original: onnx.GraphProto, made: onnx.GraphProto, head: dict[str, str]) -> None:
    """The daemon reads the features and replaces the head's weights: both forms must have the same ones, in float32."""
    for name, before, after in (("inputs", original.input, made.input), ("outputs", original.output, made.output)):
        if [kind(value) for value in before] != [kind(value) for value in after]:
            raise Int8Error(f"the int8 form has other {name} than the network")
    was, made_of = ({constant.name: constant for constant in graph.initializer} for graph in (original, made))
    for key in ("weight", "bias", "gain"):
        name = head.get(key)
        if name and (name not in made_of or made_of[name] != was.get(name)):
            raise Int8Error(f"the int8 form has not the {key} of the head, {name}, as it is in the network")
    expected, found = ([essence(node) for node in behind(graph, head.get("features"))] for graph in (original, made))
    # What makes the features may take bytes turned back into floats: its input has another name then.
    if expected[:1] and found[:1] and expected[0][0] == found[0][0]:
        expected, found = expected[1:], found[1:]
    if expected != found:
        raise Int8Error(f"the int8 form has not all that comes of the features, {head['features']}, in float32")


def kind(value: onnx.ValueInfoProto) -> tuple[str, int]:
    return value.name, value.type.tensor_type.elem_type


def essence(node: onnx.NodeProto) -> tuple:
    return (node.op_type, list(node.output), list(node.input), list(node.attribute))
