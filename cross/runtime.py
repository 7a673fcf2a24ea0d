"""ONNX Runtime for aarch64, of the version that `tools/setup` installs here."""

import re
import shutil
from pathlib import Path

from place import TOOLS, fail, make, setup


def prepare() -> Path:
    """A folder as `runtime/` is: the library and its licences."""
    return make("runtime-aarch64", pinned(), "ONNX Runtime for aarch64 into cross/.root (17 MB to download)", download)


def pinned() -> str:
    """The version that the tools have, with its checksums, among which are those of the wheels for aarch64."""
    listed = (TOOLS / "requirements.txt").read_text("utf-8")
    found = re.search(r"^onnxruntime==(?:.*\\\n)*.*\n", listed, re.M)
    return found[0] if found else fail("tools/requirements.txt does not name onnxruntime")


def download(folder: Path) -> None:
    requirements = folder / "requirements.txt"
    requirements.write_text(pinned(), "utf-8")
    wheel = folder / "wheel"
    platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in (27, 28)]
    setup.pip_install(requirements, wheel, *platforms, "--python-version=3.11", "--implementation=cp")
    package = wheel / "onnxruntime"
    (library,) = (package / "capi").glob("libonnxruntime.so.*")
    library.rename(folder / "libonnxruntime.so")
    for name in ("LICENSE", "ThirdPartyNotices.txt"):
        (package / name).rename(folder / name)
    shutil.rmtree(wheel)
    requirements.unlink()
