"""Names and places that the scripts here share."""

import os
import platform
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "packaging"
DIST = ROOT / "dist"
# What is made on the way. All of it can be deleted at any time.
WORK = ROOT / "target/package"
TOOLS = ROOT / "target/tools"

# By Debian's names: the names of the kernel, and of Rust.
ARCHITECTURES = {
    "amd64": ("x86_64", "x86_64-unknown-linux-gnu"),
    "arm64": ("aarch64", "aarch64-unknown-linux-gnu"),
}
# What `cargo install` has to install, and by what features.
PROGRAMS = {
    "cargo-deb": ("3.8.0", []),
    "cargo-about": ("0.9.3", ["--features=cli"]),
    "cargo-cyclonedx": ("0.5.9", []),
}


def say(message: str) -> None:
    print(f"packaging: {message}", file=sys.stderr, flush=True)


def fail(message: str) -> None:
    raise SystemExit(f"packaging: {message}")


def here() -> str:
    """This machine's architecture."""
    machine = platform.machine()
    return next((name for name, (kernel, _) in ARCHITECTURES.items() if kernel == machine), None) or fail(
        f"there is nothing for {machine}"
    )


def version() -> str:
    with open(ROOT / "Cargo.toml", "rb") as file:
        return tomllib.load(file)["package"]["version"]


def epoch() -> int:
    """The time that all that is made bears: that of the last commit, unless SOURCE_DATE_EPOCH says another one."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    return int(read("git", "log", "-1", "--format=%ct"))


def fresh(folder: Path) -> Path:
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def run(*command: object, **options) -> subprocess.CompletedProcess:
    """Runs a command in the checkout. What it says goes to standard error: the answer is for standard output."""
    options = {"stdout": sys.stderr} | options
    done = subprocess.run([str(word) for word in command], cwd=ROOT, **options)
    if done.returncode:
        fail(f"{command[0]} failed with {done.returncode} (see above)")
    return done


def read(*command: object) -> str:
    return run(*command, stdout=subprocess.PIPE, text=True).stdout.strip()


def cargo_program(name: str) -> Path:
    """A program of crates.io, installed below target/ in the version that is wanted."""
    wanted, features = PROGRAMS[name]
    folder = TOOLS / f"{name}-{wanted}"
    program = folder / "bin" / name
    if not program.is_file():
        say(f"building {name} {wanted}")
        run("cargo", "install", "--quiet", "--locked", *features, f"--root={folder}", f"{name}@{wanted}")
    return program


def reproducible() -> dict[str, str]:
    """The environment for those that write times into files."""
    return os.environ | {"SOURCE_DATE_EPOCH": str(epoch()), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
