"""The architectures that can be built, from the tensor names of their public checkpoints."""

from collections.abc import Callable
from dataclasses import dataclass

import deps  # noqa: F401
import numpy as np
import onnx

from network import Network, State, same


@dataclass(frozen=True)
class Architecture:
    build: Callable[[dict[str, np.ndarray]], onnx.ModelProto]
    interpolation: str
    mean: tuple[float, ...]  # per RGB channel, on 0..255
    std: tuple[float, ...]


# EfficientNet-Lite0: repeats, kernel, stride of the first, expansion, channels out.
LITE0 = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]


def efficientnet_lite0(tensors: dict[str, np.ndarray]) -> onnx.ModelProto:
    net = Network(State(tensors), epsilon=1e-3)
    size, channels = 112, 32
    x = net.relu6(net.conv("input", "_conv_stem", "_bn0", stride=2, pads=same(224, 3, 2)))
    index = 0
    for repeats, kernel, first_stride, expansion, out in LITE0:
        for repeat in range(repeats):
            block, stride, shortcut = f"_blocks.{index}", first_stride if repeat == 0 else 1, x
            if expansion > 1:
                x = net.relu6(net.conv(x, f"{block}._expand_conv", f"{block}._bn0", pads=(0, 0)))
            pads = same(size, kernel, stride)
            x = net.conv(x, f"{block}._depthwise_conv", f"{block}._bn1", stride=stride, pads=pads, depthwise=True)
            x = net.conv(net.relu6(x), f"{block}._project_conv", f"{block}._bn2", pads=(0, 0))
            if stride == 1 and channels == out:
                x = net.sum(x, shortcut, f"{block}.sum")
            size, channels, index = size // stride, out, index + 1
    x = net.relu6(net.conv(x, "_conv_head", "_bn1", pads=(0, 0)))
    return net.head(x, "_fc")


def resnet18(tensors: dict[str, np.ndarray]) -> onnx.ModelProto:
    net = Network(State(tensors), epsilon=1e-5)
    x = net.relu(net.conv("input", "conv1", "bn1", stride=2, pads=(3, 3)))
    x = net.max_pool(x, "maxpool")
    for layer in (1, 2, 3, 4):
        for block in (0, 1):
            name, stride = f"layer{layer}.{block}", 2 if layer > 1 and block == 0 else 1
            y = net.relu(net.conv(x, f"{name}.conv1", f"{name}.bn1", stride=stride, pads=(1, 1)))
            y = net.conv(y, f"{name}.conv2", f"{name}.bn2", pads=(1, 1))
            if stride == 2:
                x = net.conv(x, f"{name}.downsample.0", f"{name}.downsample.1", stride=2, pads=(0, 0))
            x = net.relu(net.sum(y, x, f"{name}.sum"))
    return net.head(x, "fc")


def random_resnet18(seed: int, classes: int = 1000) -> dict[str, np.ndarray]:
    """Tensors of ResNet-18's shape and cost but of no knowledge: He's initialisation, batch norms that do nothing."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}

    def conv(name: str, norm: str, out: int, inp: int, kernel: int) -> None:
        deviation = np.sqrt(2 / (out * kernel * kernel))
        tensors[f"{name}.weight"] = (rng.standard_normal((out, inp, kernel, kernel)) * deviation).astype(np.float32)
        for part, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            tensors[f"{norm}.{part}"] = np.full(out, value, np.float32)

    conv("conv1", "bn1", 64, 3, 7)
    width = 64
    for layer, out in enumerate((64, 128, 256, 512), start=1):
        for block in (0, 1):
            name = f"layer{layer}.{block}"
            conv(f"{name}.conv1", f"{name}.bn1", out, width, 3)
            conv(f"{name}.conv2", f"{name}.bn2", out, out, 3)
            if width != out:
                conv(f"{name}.downsample.0", f"{name}.downsample.1", out, width, 1)
            width = out
    tensors["fc.weight"] = (rng.standard_normal((classes, width)) * np.sqrt(1 / width)).astype(np.float32)
    tensors["fc.bias"] = np.zeros(classes, np.float32)
    return tensors


IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)

ARCHITECTURES = {
    "efficientnet-lite0": Architecture(efficientnet_lite0, "bicubic", (127.0,) * 3, (128.0,) * 3),
    "resnet18": Architecture(resnet18, "bilinear", IMAGENET_MEAN, IMAGENET_STD),
}
