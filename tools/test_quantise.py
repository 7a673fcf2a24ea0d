"""The int8 form of a network answers as the network does, has the same head in float32, and else is not made."""

import subprocess
import sys
import tomllib
from pathlib import Path

import bundle
import deps  # noqa: F401
import numpy as np
import onnx
from onnx import numpy_helper
from PIL import Image

import int8
import known_answers
import network
from test_tools import RandomState, TemporaryFolder

TOOLS = Path(__file__).resolve().parent
HEAD = {"features": "features", "weight": "head.weight", "bias": "head.bias", "gain": "feature_gain"}
CLASSES = 20


def small_network() -> onnx.ModelProto:
    """Of each kind of layer one; seven channels, so that not all weights have a neighbour."""
    made = RandomState(1)
    made.conv("stem", "stem.bn", 7, 3, 3)
    made.conv("expand", "expand.bn", 24, 7, 1)
    made.conv("depthwise", "depthwise.bn", 24, 1, 3)
    made.conv("project", "project.bn", 7, 24, 1)
    made.conv("last", "last.bn", 32, 7, 1)
    net = network.Network(network.State(made.finish("fc", 32, CLASSES)), epsilon=1e-3)
    x = net.relu(net.conv("input", "stem", "stem.bn", stride=8, pads=(1, 1)))
    y = net.relu6(net.conv(x, "expand", "expand.bn", pads=(0, 0)))
    y = net.relu6(net.conv(y, "depthwise", "depthwise.bn", pads=(1, 1), depthwise=True))
    x = net.sum(net.conv(y, "project", "project.bn", pads=(0, 0)), x, "sum")
    return net.head(net.relu(net.conv(net.max_pool(x, "maxpool"), "last", "last.bn", pads=(0, 0))), "fc")


class Quantised(TemporaryFolder):
    def setUp(self) -> None:
        super().setUp()
        self.bundle = self.folder / "small/1"
        self.bundle.mkdir(parents=True)
        self.model = self.bundle / "model.onnx"
        network.save(small_network(), self.model)
        names = "".join(f"{number}\tn{number:02}\tclass {number}\t\n" for number in range(CLASSES))
        (self.bundle / "labels.tsv").write_text("class\tid\ten\tzh\n" + names, "utf-8")
        gain = 'gain = "feature_gain"\n'
        text = bundle.describe(name="small", interpolation="bilinear", mean=[127.0] * 3, std=[16.0] * 3, gain=gain)
        (self.bundle / "bundle.toml").write_text(text.replace("[head]", "# mine\n[head]"), "utf-8")
        bundle.seal(self.bundle)
        self.manifest = tomllib.loads(text)

    def inputs(self, seed: int, count: int) -> list[dict[str, np.ndarray]]:
        """Noise, each in a colour of its own."""
        rng = np.random.default_rng(seed)
        noise, colours = rng.normal(0, 1, (count, 1, 3, 224, 224)), rng.normal(0, 3, (count, 1, 3, 1, 1))
        return [{"input": picture.astype(np.float32)} for picture in noise + colours]

    def make(self, bits: int = 7) -> bytes:
        return int8.quantise(self.model, int8.calibrate(self.model, self.inputs(1, 20)), HEAD, bits)

    def write_photographs(self, folder: Path, seed: int, contrast: int, rank: int = 0) -> None:
        """Noise in colours, in folders named after what the network says of it first, or at another rank."""
        rng, session = np.random.default_rng(seed), known_answers.open_session(self.model)
        folder.mkdir()
        for number in range(40):
            low, high = np.sort(rng.integers(127 - contrast, 128 + contrast, (2, 3)), axis=0)
            file = folder / f"{number:02}.png"
            Image.fromarray(rng.integers(low, high + 1, (32, 40, 3), np.uint8)).save(file)
            shown = known_answers.scores(session, self.manifest, file).argsort()[::-1][rank]
            (folder / f"Class-{shown}").mkdir(exist_ok=True)
            file.rename(folder / f"Class-{shown}" / file.name)

    def run_tool(self, *arguments: object) -> subprocess.CompletedProcess:
        command = [sys.executable, "-B", TOOLS / "quantise", self.bundle, *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.bundle.iterdir()}

    def test_it_answers_as_the_network_does(self) -> None:
        made = self.folder / "made.onnx"
        for bits in (7, 8):
            made.write_bytes(self.make(bits))
            sessions = [known_answers.open_session(path) for path in (self.model, made)]
            answers = [np.concatenate([s.run(["logits"], x)[0] for x in self.inputs(2, 20)]) for s in sessions]
            self.assertGreater(np.abs(answers[0] - answers[1]).max(), 0)  # it does compute with bytes
            self.assertLess(np.abs(answers[0] - answers[1]).mean(), 0.02 * answers[0].std(0).mean())

    def test_neighbouring_weights_fit_into_16_bits_unless_all_of_8_are_wanted(self) -> None:
        for bits in (7, 8):
            graph = onnx.load_from_string(self.make(bits)).graph
            weights = {c.name: numpy_helper.to_array(c).astype(int) for c in graph.initializer if c.data_type == 3}
            most = {}
            for name in ("expand", "project", "last"):
                weight = weights[f"{name}.weight_quantized"]
                rows = np.moveaxis(weight, 1, -1).reshape(len(weight), -1)
                pairs = [rows[:, i : i + 2].sum(1) for i in range(0, rows.shape[1], 2)]
                most[name] = np.abs(pairs).max()
                self.assertGreater(np.abs(rows).max(), 100)
            self.assertEqual(max(most.values()) <= 128, bits == 7, most)
            self.assertEqual(np.abs(weights["depthwise.weight_quantized"]).max(), 127)

    def test_the_head_and_the_first_convolution_stay_as_they_are(self) -> None:
        was, made = onnx.load(self.model).graph, onnx.load_from_string(self.make()).graph
        constants = {constant.name: constant for constant in made.initializer}
        for constant in was.initializer:
            if constant.name.startswith(("head.", "feature_gain", "stem.")):
                self.assertEqual(constants[constant.name], constant)
        self.assertEqual([value.name for value in made.input], ["input", "feature_gain"])
        nodes = {node.name: node for node in made.node}
        for node in was.node:
            if node.name in ("stem", "features", "evened_features", "logits"):
                self.assertEqual(nodes[node.name], node)

    def test_a_form_with_another_head_is_refused(self) -> None:
        was, made = onnx.load(self.model).graph, onnx.load_from_string(self.make()).graph
        int8.check_structure(was, made, HEAD)
        for change, message in (
            (lambda graph: graph.output[0].type.tensor_type.__setattr__("elem_type", 11), "other outputs"),
            (lambda graph: graph.input[1].__setattr__("name", "gain"), "other inputs"),
            (lambda graph: find(graph, "head.bias").__setattr__("data_type", 10), "not the bias of the head"),
            (lambda graph: find(graph, "feature_gain").__setattr__("name", "gain"), "not the gain of the head"),
            (lambda graph: find(graph, "logits", "node").input.__setitem__(1, "other"), "features, in float32"),
            (lambda graph: find(graph, "features", "node").output.__setitem__(0, "other"), "features, in float32"),
        ):
            changed = onnx.GraphProto()
            changed.CopyFrom(made)
            change(changed)
            with self.subTest(message), self.assertRaisesRegex(int8.Int8Error, message):
                int8.check_structure(was, changed, HEAD)

    def test_ranges_make_the_same_bytes_each_time(self) -> None:
        text = int8.write_ranges(int8.calibrate(self.model, self.inputs(1, 5)))
        made = [int8.quantise(self.model, int8.read_ranges(text), HEAD, 7) for _ in range(2)]
        self.assertEqual(*made)
        self.assertEqual(int8.write_ranges(int8.read_ranges(text)), text)

    def test_ranges_that_are_none_are_refused(self) -> None:
        for text, message in (
            ("input\t0\t1\n", "header"),
            (int8.HEADER + "a\t0\t1\nb\t0\n", "line 3: a tensor and two numbers"),
            (int8.HEADER + "a\t0\tx\n", "line 2: a tensor and two numbers"),
            (int8.HEADER + "a\t1\t0\n", "line 2: these are not a lowest and a highest"),
            (int8.HEADER + "a\tnan\t0\n", "line 2: these are not a lowest and a highest"),
        ):
            with self.subTest(text), self.assertRaisesRegex(int8.Int8Error, message):
                int8.read_ranges(text)
        with self.assertRaisesRegex(int8.Int8Error, "stem.relu"):
            int8.quantise(self.model, int8.read_ranges(int8.HEADER), HEAD, 7)

    def test_it_is_made_checked_and_sealed(self) -> None:
        before = (self.bundle / "bundle.toml").read_text("utf-8")
        self.write_photographs(self.folder / "photographs", 3, 120)
        done = self.run_tool("--calibrate", self.folder / "photographs")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("20 pictures calibrate, 20 others check (5.0 points each); weights of 7 bits", done.stdout)
        self.assertRegex(done.stdout, r"among the best three +100.0 +100.0 %")

        files = self.files()
        self.assertEqual(set(files), {"bundle.toml", "labels.tsv", "model.onnx", "model.int8.onnx", "ranges.tsv"})
        text = files["bundle.toml"].decode()
        self.assertEqual(text[: text.index("\n[int8]")], before[: before.index("\n[sha256]")])
        manifest = tomllib.loads(text)
        self.assertEqual(manifest["int8"], {"weight_bits": 7})
        self.assertEqual(manifest["sha256"]["model.int8.onnx"], bundle.sha256(self.bundle / "model.int8.onnx"))
        self.assertNotIn("ranges.tsv", manifest["sha256"])
        ranges = int8.read_ranges(files["ranges.tsv"].decode())
        self.assertEqual(int8.quantise(self.model, ranges, HEAD, 7), files["model.int8.onnx"])

        again = self.run_tool("--calibrate", self.folder / "photographs", "--weight-bits", "8")
        self.assertEqual(again.returncode, 0, again.stderr)
        changed = (self.bundle / "bundle.toml").read_text("utf-8")
        self.assertEqual(tomllib.loads(changed)["int8"], {"weight_bits": 8})
        checksum = bundle.sha256(self.bundle / "model.int8.onnx")
        self.assertNotEqual(checksum, manifest["sha256"]["model.int8.onnx"])
        expected = text.replace(manifest["sha256"]["model.int8.onnx"], checksum)
        self.assertEqual(changed, expected.replace("weight_bits = 7", "weight_bits = 8"))

    def test_a_form_that_answers_worse_is_refused_and_nothing_is_written(self) -> None:
        before = self.files()
        # Grey pictures say nothing of how large values get.
        self.write_photographs(self.folder / "grey", 4, 1)
        self.write_photographs(self.folder / "coloured", 3, 120)
        done = self.run_tool("--calibrate", self.folder / "grey", "--check", self.folder / "coloured")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"refused: of 40 pictures, \d+\.\d points fewer .* Nothing was written")
        self.assertRegex(done.stdout, r"among the best three +100.0 +\d+.\d %")
        self.assertEqual(self.files(), before)

    def test_pictures_of_which_the_network_has_none_right_check_nothing(self) -> None:
        before = self.files()
        self.write_photographs(self.folder / "photographs", 3, 120, rank=-1)
        done = self.run_tool("--calibrate", self.folder / "photographs")
        self.assertEqual((done.returncode, self.files()), (1, before))
        self.assertIn("the model has none of these pictures right", done.stderr)

    def test_weights_have_8_bits_by_themselves_only_where_that_is_right(self) -> None:
        for processor, bits in (
            ("flags\t\t: fpu avx2 avx512f", 7),
            ("flags\t\t: fpu avx2 avx_vnni", 8),
            ("flags\t\t: fpu avx512f avx512_vnni", 8),
            ("Features\t: fp asimd", 8),
        ):
            self.assertEqual(int8.weight_bits("auto", processor), bits, processor)
            self.assertEqual(int8.weight_bits("7", processor), 7)

    def test_networks_that_it_can_do_nothing_with_are_refused(self) -> None:
        model = TOOLS.parent / "tests/bundles/tints/1/model.onnx"
        with self.assertRaisesRegex(int8.Int8Error, "no convolutions behind the first one"):
            int8.quantise(model, {}, {}, 7)
        old = onnx.load(self.model)
        old.opset_import[0].version = 12
        network.save(old, self.model)
        with self.assertRaisesRegex(int8.Int8Error, "opset 12"):
            int8.quantise(self.model, {}, HEAD, 7)


def find(graph: onnx.GraphProto, name: str, among: str = "initializer") -> onnx.TensorProto | onnx.NodeProto:
    return next(one for one in getattr(graph, among) if one.name == name)
