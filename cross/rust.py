"""A Rust compiler that can make programs for aarch64: rustup's, Debian's, or rustup's with a library built from source."""

import os
import re
import shutil
import subprocess
import tomllib
import urllib.request
from pathlib import Path

import debian
from place import ROOT, fail, make, say, script

AARCH64 = "aarch64-unknown-linux-gnu"
# Where `rust-src` of newer compilers is found.
BACKPORTS = "trixie-backports"


def environment(target: str) -> dict[str, str]:
    """What cargo needs in its environment to compile for `target`."""
    if has_library(target) or rustup_adds(target):
        return {}
    if target != AARCH64:
        fail(f"rustc has no standard library for {target}")
    try:
        rustc = made_rustc("rust-debian", debian_compiler)
    except SystemExit as error:
        say(f"{error}\ncross: the other way: the library is built from source")
        rustc = made_rustc("rust-src", library_from_source)
    return {"RUSTC": str(rustc)}


def rustc(*arguments: str) -> str:
    return subprocess.run(["rustc", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def has_library(target: str) -> bool:
    return any(Path(rustc("--print", "target-libdir", "--target", target)).glob("libstd-*.rlib"))


def rustup_adds(target: str) -> bool:
    if not shutil.which("rustup"):
        return False
    server = os.environ.get("RUSTUP_DIST_SERVER", "https://static.rust-lang.org")
    try:  # rustup itself would try for a long time
        urllib.request.urlopen(f"{server}/dist/channel-rust-stable.toml.sha256", timeout=10).close()
    except OSError:
        say(f"{server} does not answer: without rustup's library for {target}")
        return False
    say(f"rustup target add {target}")
    return subprocess.run(["rustup", "--quiet", "target", "add", target], cwd=ROOT).returncode == 0


def made_rustc(name: str, fill: object) -> Path:
    # The compiler that is there counts too: one that is newer than that of Debian may come with another rustup.
    wanted = f"{minimum()} {rustc('--version')}"
    return make(name, wanted, f"a Rust compiler for {AARCH64} into cross/.root/{name}", fill) / "rustc"


def minimum() -> str:
    with open(ROOT / "Cargo.toml", "rb") as file:
        return tomllib.load(file)["package"]["rust-version"]


def debian_compiler(folder: Path) -> None:
    """`rustc-web` is what Debian builds browsers with, and is kept new in old releases."""
    apt = debian.apt()
    version, library = apt.candidate("rustc-web"), apt.candidate("libstd-rust-web-dev:arm64")
    if not version or version != library:
        fail(f"Debian's rustc-web is {version}, its library for arm64 {library}: they must be of one build")
    release = ".".join(version.split(".")[:2])
    if number(release) < number(minimum()):
        fail(f"Debian's rustc-web is {version}, {minimum()} is needed")
    shared = apt.closure(f"libstd-rust-web-{release}")
    own = ["rustc-web", "libstd-rust-web-dev", "libstd-rust-web-dev:arm64"]
    apt.unpack([f"{name}={version}" for name in own] + shared, folder)
    # The loader must find LLVM in the folder, wherever the folder is.
    script(
        folder / "rustc",
        'here=$(dirname "$0")/usr\n'
        'export LD_LIBRARY_PATH="$here/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"\n'
        'exec "$here/bin/rustc" "$@"',
    )


def library_from_source(folder: Path) -> None:
    """Builds the library for rustup's compiler from Debian's source of the same version."""
    release = re.search(r"^release: (\S+)$", rustc("--version", "--verbose"), re.M)[1]
    apt = debian.apt(BACKPORTS)
    found = [version for version in apt.versions("rust-src") if re.match(rf"{re.escape(release)}\+", version)]
    if not found:
        fail(f"Debian has no source of Rust {release} at the moment; `rustup target add {AARCH64}` is what is left")
    apt.unpack([f"rust-src={found[0]}"], folder)
    (source,) = (folder / "usr/src").glob("rustc-*")
    crate = folder / "build"
    (crate / "src").mkdir(parents=True)
    (crate / "src/lib.rs").touch()
    (crate / "Cargo.toml").write_text('[package]\nname = "nothing"\nedition = "2024"\n', "utf-8")
    command = ["cargo", "build", "--quiet", "--release", "--target", AARCH64, "--target-dir", crate / "target"]
    flags = {
        # What cargo's own tests use to tell `-Zbuild-std` where the source is, if it is not rustup's.
        "__CARGO_TESTS_ONLY_SRC_ROOT": str(source / "library"),
        "RUSTC_BOOTSTRAP": "1",
        "RUSTFLAGS": f"--remap-path-prefix={source}=/rustc/{release}",
    }
    command.append("-Zbuild-std=std,panic_abort,panic_unwind,proc_macro,test")
    if subprocess.run(command, cwd=crate, env=os.environ | flags).returncode:
        fail("the standard library could not be built (see above)")
    # A sysroot of links to rustup's, with one folder more.
    sysroot, library = Path(rustc("--print", "sysroot")), folder / "lib/rustlib"
    (library / AARCH64 / "lib").mkdir(parents=True)
    for there, here in ((sysroot / "lib", folder / "lib"), (sysroot / "lib/rustlib", library)):
        for entry in there.iterdir():
            if entry.name not in ("rustlib", AARCH64):
                (here / entry.name).symlink_to(entry)
    for built in (crate / "target" / AARCH64 / "release/deps").glob("*.rlib"):
        if not built.name.startswith("libnothing-"):
            shutil.copy(built, library / AARCH64 / "lib")
    shutil.rmtree(crate)
    shutil.rmtree(folder / "usr")
    script(folder / "rustc", f'exec {sysroot}/bin/rustc --sysroot "$(dirname "$0")" "$@"')


def number(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
