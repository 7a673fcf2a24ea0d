"""Checkpoints are read right and safely, and the models built from them answer as NumPy does, layer by layer."""

import os
import pickle
import subprocess
import sys
import tempfile
import unittest
from collections import OrderedDict
from pathlib import Path

import bundle
import deps  # noqa: F401
import numpy as np

import architectures
import known_answers
import make_test_bundles
import network
import torch_writer
from torchfile import TorchFileError, read_state

TOOLS = Path(__file__).resolve().parent
State = dict[str, np.ndarray]


class TemporaryFolder(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)


# --- the independent forward pass: float64, batch norms on their own, no code shared with the builder


def conv(x: np.ndarray, weight: np.ndarray, stride: int, pads: tuple[int, int]) -> np.ndarray:
    x = np.pad(x, ((0, 0), (0, 0), pads, pads))
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    if weight.shape[1] == 1:
        return np.einsum("nchwij,cij->nchw", windows, weight[:, 0])
    return np.moveaxis(np.tensordot(windows, weight, ((1, 4, 5), (1, 2, 3))), 3, 1)


def norm(x: np.ndarray, state: State, name: str, epsilon: float) -> np.ndarray:
    mean, variance, gamma, beta = (
        state[f"{name}.{part}"].astype(np.float64)[:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def relu6(x: np.ndarray) -> np.ndarray:
    return np.clip(x, 0, 6)


def linear(x: np.ndarray, state: State, name: str) -> np.ndarray:
    return x.mean((2, 3)) @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def resnet18(x: np.ndarray, state: State) -> np.ndarray:
    def layer(x: np.ndarray, name: str, bn: str, stride: int, pad: int) -> np.ndarray:
        return norm(conv(x, state[f"{name}.weight"], stride, (pad, pad)), state, bn, 1e-5)

    x = relu(layer(x, "conv1", "bn1", 2, 3))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    x = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::2, ::2].max((4, 5))
    for name in [f"layer{i}.{j}" for i in range(1, 5) for j in range(2)]:
        shortcut, stride = x, 1
        if f"{name}.downsample.0.weight" in state:
            stride = 2
            shortcut = layer(x, f"{name}.downsample.0", f"{name}.downsample.1", 2, 0)
        x = relu(layer(x, f"{name}.conv1", f"{name}.bn1", stride, 1))
        x = relu(layer(x, f"{name}.conv2", f"{name}.bn2", 1, 1) + shortcut)
    return linear(x, state, "fc")


# (kernel, stride, expanded, out) of the sixteen blocks
BLOCKS = [
    (3, 1, 32, 16), (3, 2, 96, 24), (3, 1, 144, 24), (5, 2, 144, 40), (5, 1, 240, 40), (3, 2, 240, 80),
    (3, 1, 480, 80), (3, 1, 480, 80), (5, 1, 480, 112), (5, 1, 672, 112), (5, 1, 672, 112), (5, 2, 672, 192),
    (5, 1, 1152, 192), (5, 1, 1152, 192), (5, 1, 1152, 192), (3, 1, 1152, 320),
]  # fmt: skip


def lite0(x: np.ndarray, state: State) -> np.ndarray:
    def layer(x: np.ndarray, name: str, bn: str, stride: int = 1) -> np.ndarray:
        weight = state[f"{name}.weight"]
        # All sides are even here, so "same" padding is one less before than after when the stride is two.
        total = weight.shape[2] - stride if weight.shape[2] > 1 else 0
        return norm(conv(x, weight, stride, (total // 2, total - total // 2)), state, bn, 1e-3)

    x = relu6(layer(x, "_conv_stem", "_bn0", 2))
    for index, (_, stride, _, out) in enumerate(BLOCKS):
        name, shortcut = f"_blocks.{index}", x
        if index:
            x = relu6(layer(x, f"{name}._expand_conv", f"{name}._bn0"))
        x = relu6(layer(x, f"{name}._depthwise_conv", f"{name}._bn1", stride))
        x = layer(x, f"{name}._project_conv", f"{name}._bn2")
        if stride == 1 and shortcut.shape[1] == out:
            x = x + shortcut
    return linear(relu6(layer(x, "_conv_head", "_bn1")), state, "_fc")


# --- random checkpoints, with batch norms that matter


class RandomState:
    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.state: State = {}

    def conv(self, name: str, bn: str, out: int, inp: int, kernel: int) -> None:
        rng, fan_in = self.rng, inp * kernel * kernel
        self.state[f"{name}.weight"] = rng.normal(0, np.sqrt(2 / fan_in), (out, inp, kernel, kernel))
        self.state[f"{bn}.weight"] = rng.uniform(0.5, 1.2, out)
        self.state[f"{bn}.bias"] = rng.normal(0, 0.2, out)
        self.state[f"{bn}.running_mean"] = rng.normal(0, 0.2, out)
        self.state[f"{bn}.running_var"] = rng.uniform(0.5, 2, out)

    def finish(self, layer: str, features: int, classes: int = 1000) -> State:
        self.state[f"{layer}.weight"] = self.rng.normal(0, features**-0.5, (classes, features))
        self.state[f"{layer}.bias"] = self.rng.normal(0, 0.1, classes)
        state = {name: value.astype(np.float32) for name, value in self.state.items()}
        counts = {name.replace("running_mean", "num_batches_tracked") for name in state if "running_mean" in name}
        return state | {name: np.array(7, np.int64) for name in counts}


def random_resnet18(seed: int) -> State:
    made, width = RandomState(seed), 64
    made.conv("conv1", "bn1", 64, 3, 7)
    for layer, out in enumerate((64, 128, 256, 512), start=1):
        for name in (f"layer{layer}.0", f"layer{layer}.1"):
            made.conv(f"{name}.conv1", f"{name}.bn1", out, width, 3)
            made.conv(f"{name}.conv2", f"{name}.bn2", out, out, 3)
            if width != out:
                made.conv(f"{name}.downsample.0", f"{name}.downsample.1", out, width, 1)
            width = out
    return made.finish("fc", 512)


def random_lite0(seed: int) -> State:
    made, width = RandomState(seed), 32
    made.conv("_conv_stem", "_bn0", 32, 3, 3)
    for index, (kernel, _, expanded, out) in enumerate(BLOCKS):
        name = f"_blocks.{index}"
        if index:
            made.conv(f"{name}._expand_conv", f"{name}._bn0", expanded, width, 1)
        made.conv(f"{name}._depthwise_conv", f"{name}._bn1", expanded, 1, kernel)
        made.conv(f"{name}._project_conv", f"{name}._bn2", out, expanded, 1)
        width = out
    made.conv("_conv_head", "_bn1", 1280, 320, 1)
    return made.finish("_fc", 1280)


class Models(TemporaryFolder):
    def compare(self, model: Path, expected: np.ndarray, x: np.ndarray) -> None:
        session = known_answers.open_session(model)
        (found,) = session.run(["logits"], {"input": x})
        self.assertGreater(expected.std(), 0.1)  # answers that are all alike would prove nothing
        self.assertLess(np.abs(found - expected).max(), 1e-4)

    def test_resnet18_from_a_zip_file_answers_as_numpy_does(self) -> None:
        state = random_resnet18(1)
        checkpoint = torch_writer.write_zip(self.folder / "resnet18.pth", state)
        command = [sys.executable, TOOLS / "build_model", "resnet18", checkpoint, "--models", self.folder / "models"]
        labels = self.folder / "labels.tsv"
        labels.write_text("class\tid\ten\tzh\n" + "".join(f"{i}\t\tname {i}\t\n" for i in range(1000)), "utf-8")
        subprocess.run([*command, "--labels", labels], check=True, capture_output=True)
        made = self.folder / "models/resnet18/1"
        self.assertEqual({file.name for file in made.iterdir()}, {"bundle.toml", "labels.tsv", "model.onnx"})
        self.assertIn(bundle.sha256(made / "model.onnx"), (made / "bundle.toml").read_text("utf-8"))
        x = np.random.default_rng(2).normal(size=(2, 3, 224, 224)).astype(np.float32)
        self.compare(made / "model.onnx", resnet18(x, state), x)

        again = subprocess.run([*command, "--labels", labels], capture_output=True, text=True)
        self.assertIn("exists already", again.stderr)

    def test_lite0_from_a_legacy_file_answers_as_numpy_does(self) -> None:
        state = random_lite0(3)
        model = self.folder / "model.onnx"
        read = read_state(torch_writer.write_legacy(self.folder / "lite0.pth", state))
        network.save(architectures.efficientnet_lite0(read), model)
        x = np.random.default_rng(4).normal(size=(1, 3, 224, 224)).astype(np.float32)
        self.compare(model, lite0(x, state), x)

    def test_features_are_multiplied_by_the_gain(self) -> None:
        state = architectures.random_resnet18(7, classes=10)
        path = self.folder / "model.onnx"
        network.save(architectures.resnet18(dict(state)), path)
        session = known_answers.open_session(path)
        x = {"input": np.random.default_rng(8).normal(size=(1, 3, 224, 224)).astype(np.float32)}
        gain = np.linspace(0, 2, 512, dtype=np.float32)
        run = lambda gain: session.run(None, x | {"feature_gain": gain})[0]
        np.testing.assert_array_equal(run(np.ones_like(gain)), session.run(None, x)[0])
        np.testing.assert_allclose(run(0 * gain)[0], state["fc.bias"], atol=1e-6)
        np.testing.assert_allclose(run(gain) + run(2 - gain), 2 * session.run(None, x)[0], rtol=1e-3, atol=1e-3)

    def test_the_same_weights_give_the_same_bytes(self) -> None:
        for name in "ab":
            network.save(architectures.resnet18(architectures.random_resnet18(5, classes=10)), self.folder / name)
        self.assertEqual((self.folder / "a").read_bytes(), (self.folder / "b").read_bytes())

    def test_a_checkpoint_of_another_architecture_is_named_as_such(self) -> None:
        with self.assertRaisesRegex(network.NetworkError, "has no tensor _conv_stem.weight"):
            architectures.efficientnet_lite0(architectures.random_resnet18(6, classes=10))
        more = architectures.random_resnet18(6, classes=10) | {"layer1.2.conv1.weight": np.zeros((64, 64, 3, 3))}
        with self.assertRaisesRegex(network.NetworkError, "layer1.2.conv1.weight"):
            architectures.resnet18(more)


class Checkpoints(TemporaryFolder):
    state = {"matrix": np.arange(6, dtype=np.float32).reshape(2, 3), "scalar": np.array(7, np.int64)}

    def refuse(self, path: Path, message: str) -> None:
        with self.assertRaisesRegex(TorchFileError, message) as caught:
            read_state(path)
        self.assertIn(path.name, str(caught.exception))

    def test_both_formats_are_read_with_their_strides(self) -> None:
        for write in (torch_writer.write_zip, torch_writer.write_legacy):
            with self.subTest(write.__name__):
                found = read_state(write(self.folder / "state.pth", self.state))
                self.assertEqual(list(found), list(self.state))
                for name, value in self.state.items():
                    np.testing.assert_array_equal(found[name], value)

    def test_a_pickle_that_calls_anything_else_is_refused_before_the_call(self) -> None:
        class Malicious:
            def __reduce__(self) -> tuple:
                return os.system, (f"touch {marker}",)

        marker = self.folder / "harm"
        pickled = pickle.dumps(OrderedDict(weight=Malicious()), protocol=2)
        self.refuse(torch_writer.write_zip_parts(self.folder / "zip.pth", pickled, {}), "refused: .*posix.system")
        (self.folder / "legacy.pth").write_bytes(pickled)
        self.refuse(self.folder / "legacy.pth", "refused: .*posix.system")
        self.assertFalse(marker.exists())

    def test_cut_files_are_refused(self) -> None:
        for write in (torch_writer.write_zip, torch_writer.write_legacy):
            whole = write(self.folder / "whole.pth", self.state).read_bytes()
            for length in range(0, len(whole), 7):
                path = self.folder / "cut.pth"
                path.write_bytes(whole[:length])
                with self.subTest(write.__name__, length=length):
                    self.refuse(path, ".")

    def test_tensors_beyond_their_storage_are_refused(self) -> None:
        storage = torch_writer.Storage("0", np.zeros(4, np.float32))
        for size, stride in [((5,), (1,)), ((2, 2), (3, 1)), ((2,), (-1,)), ((10**12,), (0,)), ((2, 2), (1,))]:
            table = OrderedDict(weight=torch_writer.Tensor(storage, 0, size, stride))
            path = torch_writer.write_zip_parts(self.folder / "far.pth", torch_writer.dumps(table), {"0": storage.data})
            with self.subTest(size=size, stride=stride):
                self.refuse(path, "tensor weight")

    def test_other_files_are_refused(self) -> None:
        self.refuse(self.folder / "nothing.pth", "No such file")
        (self.folder / "text.pth").write_text("hello")
        self.refuse(self.folder / "text.pth", "not a whole PyTorch checkpoint")


class Bundles(TemporaryFolder):
    def test_sealing_changes_the_checksums_only(self) -> None:
        text = bundle.describe(name="x", interpolation="bilinear", mean=[0.0], std=[1.0])
        (self.folder / "bundle.toml").write_text(f'{text}\n[sha256]\n"model.onnx" = "kept"\n"gone.tsv" = "dropped"\n')
        (self.folder / "labels.tsv").write_text("class\tid\ten\tzh\n")
        sums = bundle.seal(self.folder)
        self.assertEqual(sums, {"model.onnx": "kept", "labels.tsv": bundle.sha256(self.folder / "labels.tsv")})
        once = (self.folder / "bundle.toml").read_text()
        self.assertTrue(once.startswith(text))
        bundle.seal(self.folder)
        self.assertEqual((self.folder / "bundle.toml").read_text(), once)

    def test_the_committed_test_bundles_are_those_the_tool_makes(self) -> None:
        committed, make_test_bundles.BUNDLES = make_test_bundles.BUNDLES, self.folder
        self.addCleanup(setattr, make_test_bundles, "BUNDLES", committed)
        make_test_bundles.main()
        for file in self.folder.rglob("*.*"):
            self.assertEqual(file.read_bytes(), (committed / file.relative_to(self.folder)).read_bytes(), file.name)


if __name__ == "__main__":
    unittest.main()
