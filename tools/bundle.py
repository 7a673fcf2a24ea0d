"""Bundle folders: their bundle.toml and the table of checksums in it."""

import hashlib
import re
import tomllib
from pathlib import Path

TEMPLATE = """\
# A bundle: a model with everything needed to use it.
name = "{name}"
version = "{version}"
# parent = "0"  # the version this one was made from, if any
temperature = {temperature}  # scores are softmax(logits / temperature)

[input]
tensor = "{tensor}"
layout = "{layout}"  # "nchw" or "nhwc"
size = {size}  # height, width of a view, pixels
resize = {resize}  # short side before the crop, pixels
crop = "{crop}"  # "center", or "squash": the whole frame, squeezed to size (resize is then unused)
interpolation = "{interpolation}"  # "bicubic" or "bilinear"
mean = {mean}  # per RGB channel, on 0..255
std = {std}

[output]
tensor = "{output}"
kind = "{kind}"  # "logits" or "probabilities"

[head]  # the last Gemm/MatMul
features = "{features}"
weight = "{weight}"
bias = "{bias}"
{gain}"""

DEFAULTS = {
    "version": "1",
    "temperature": 1.0,
    "tensor": "input",
    "layout": "nchw",
    "size": [224, 224],
    "resize": 256,
    "crop": "center",
    "output": "logits",
    "kind": "logits",
    "features": "features",
    "weight": "head.weight",
    "bias": "head.bias",
    "gain": "",
}


def describe(**fields: object) -> str:
    """The text of a bundle.toml, without checksums."""
    lines = [line.split("  # ") for line in TEMPLATE.format(**DEFAULTS | fields).split("\n")]
    return "\n".join(f"{line[0]:<30}  # {line[1]}" if line[1:] else line[0] for line in lines)


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


INT8 = """\
[int8]                          # model.int8.onnx, which tools/quantise made
weight_bits = {bits}                 # 7: for any processor; 8: for those with VNNI, and ARM
"""


def with_int8(text: str, bits: int) -> str:
    """The text of a bundle.toml whose model has an int8 form, with weights of so many bits."""
    text = re.sub(r"^\[int8\].*\n(?:(?!\[).*\n?)*", "", text, flags=re.MULTILINE)
    before, table, after = text.partition("[sha256]\n")
    return f"{before.rstrip()}\n\n{INT8.format(bits=bits)}\n{table}{after}"


def seal(folder: Path, text: str | None = None) -> dict[str, str]:
    """Writes the checksums of the folder's files into its bundle.toml; the rest is `text`, or stays as it is."""
    path = folder / "bundle.toml"
    text = path.read_text("utf-8") if text is None else text
    sums = {file.name: sha256(file) for file in folder.iterdir() if _sealed(file)}
    # An .onnx file that is not here is not tracked but made by the set-up: its checksum is how that is verified.
    for name, value in tomllib.loads(text).get("sha256", {}).items():
        if name.endswith(".onnx"):
            sums.setdefault(name, value)
    order = sorted(sums, key=lambda name: (not name.endswith(".onnx"), name))
    table = "[sha256]\n" + "".join(f'"{name}" = "{sums[name]}"\n' for name in order)
    rest = re.sub(r"^\[sha256\]\n(?:(?!\[).*\n?)*", "", text, flags=re.MULTILINE).rstrip("\n")
    part = path.with_name(".bundle.toml.tmp")
    part.write_text(f"{rest}\n\n{table}", "utf-8")
    part.replace(path)
    return sums


def _sealed(file: Path) -> bool:
    # ranges.tsv is for making model.int8.onnx, whose checksum vouches for it, and is not installed.
    return file.is_file() and file.name not in ("bundle.toml", "ranges.tsv") and not file.name.startswith(".")


def count_labels(path: Path) -> int:
    with open(path, encoding="utf-8") as file:
        if file.readline().rstrip("\n").split("\t")[:2] != ["class", "id"]:
            raise ValueError(f"{path}: the first line must be the header: class, id, en, zh")
        return sum(1 for line in file if line.strip())
