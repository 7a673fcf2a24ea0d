"""What a package is made of, and where each part comes from."""

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from place import ARCHITECTURES, HERE, ROOT, WORK, cargo_program, fail, fresh, here, read, run


@dataclass
class Parts:
    """All that `tree` lays out."""

    architecture: str
    # The daemon.
    program: Path
    # A folder with ONNX Runtime and its licences.
    runtime: Path
    # A folder as /usr/share is, with manual pages and completions.
    share: Path
    # The crates that the program is linked with, and their licences.
    crates: Path | None


def release(architecture: str) -> Parts:
    """For the architecture, by the portable build."""
    program = build(architecture)
    # The manual is written by the program itself, so by one that runs here.
    writer = program if architecture == here() else build(here())
    return Parts(architecture, stripped(program, architecture), runtime(architecture), written(writer, WORK / "share"), licences())


def built_here(work: Path) -> Parts:
    """As `make build` made them, for this machine alone. This may be root, which is to leave nothing in the checkout."""
    program = ROOT / "target/release/glanced"
    if not program.is_file():
        fail("nothing is built yet: run `make build` first, as yourself")
    return Parts(here(), program, ROOT / "runtime", written(program, work / "share"), None)


def build(architecture: str) -> Path:
    machine, _ = ARCHITECTURES[architecture]
    return Path(read(ROOT / "cross/build", machine).splitlines()[-1])


def stripped(program: Path, architecture: str) -> Path:
    """A copy without symbols, which are most of it."""
    (WORK / "program").mkdir(parents=True, exist_ok=True)
    copy = WORK / "program" / f"glanced-{architecture}"
    # That of Rust's toolchain knows all machines; that of Debian's binutils, only its own.
    sysroot = Path(read("rustc", "--print=sysroot"))
    found = next(sysroot.glob("lib/rustlib/*/bin/rust-objcopy"), "objcopy")
    run(found, "--strip-all", program, copy, env=os.environ | {"LD_LIBRARY_PATH": str(sysroot / "lib")})
    return copy


def runtime(architecture: str) -> Path:
    """ONNX Runtime: that of this machine is of `make setup`."""
    if architecture == here():
        return ROOT / "runtime"
    return Path(read(sys.executable, "-B", ROOT / "cross/runtime.py").splitlines()[-1])


def written(program: Path, folder: Path) -> Path:
    share = fresh(folder)
    # Nothing of this machine's configuration is to matter.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GLANCED__")}
    run(program, "generate", share, env=clean)
    return share


def licences() -> Path:
    """Of all crates. It takes minutes, so it is done once for each state of what it is made from."""
    sources = [ROOT / "Cargo.lock", ROOT / "Cargo.toml", HERE / "licences.toml", HERE / "licences.hbs"]
    state = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    text = WORK / f"crates-{state[:16]}.txt"
    if not text.is_file():
        # All of them, also those for other systems, for the rest is done without the network.
        run("cargo", "fetch", "--quiet", "--locked")
        made = text.with_suffix(".tmp")
        arguments = ["--offline", "--locked", "--fail", f"--config={HERE / 'licences.toml'}", f"--output-file={made}"]
        run(cargo_program("cargo-about"), "generate", *arguments, HERE / "licences.hbs")
        made.rename(text)
    return text
