"""Runs cargo so that what it makes is for another machine: an older glibc, and the same bytes in whichever folder."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import rust
from place import PLACE, ROOT, alone, fail, make, need_program, setup

TARGETS = {"aarch64": rust.AARCH64, "x86_64": "x86_64-unknown-linux-gnu"}
# What is linked against, and what is allowed: Debian 11 and Ubuntu 20.04 have 2.31.
LINKED_GLIBC = "2.28"
NEWEST_GLIBC = "2.31"


def cargo(target: str, command: str, *arguments: str) -> subprocess.CompletedProcess:
    """`command` is one of those that cargo-zigbuild knows: zigbuild, test. Its output is for the caller."""
    with alone():
        environment = prepare(target)
    zig = PLACE / "zig/bin/cargo-zigbuild"
    line = [zig, command, "--release", "--locked", "--target-dir", ROOT / "target"]
    line += ["--target", f"{target}.{LINKED_GLIBC}", *arguments]
    done = subprocess.run(line, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        fail(f"cargo {command} failed (see above)")
    return done


def prepare(target: str) -> dict[str, str]:
    """Installs what is missing, and returns the environment for cargo."""
    if os.uname().machine != "x86_64":
        fail("this builds on x86-64; on ARM, `make build` does")
    need_program("cc", "gcc", "libc6-dev")  # for what runs while it is built
    need_program("objdump", "binutils")
    if target == TARGETS["x86_64"]:
        need_program("nasm", "nasm")
    requirements = ROOT / "cross/requirements.txt"
    wanted = setup.stamp(requirements)
    what = "Zig into cross/.root/zig (103 MB to download)"
    zig = make("zig", wanted, what, lambda folder: setup.pip_install(requirements, folder))
    cache = PLACE / "cache"
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")).absolute()
    # No path of this machine is to be in the program. The last that fits is taken.
    prefixes = ((ROOT, "/glanced"), (home, "/cargo"))
    ours = {
        # libjpeg writes down when it was built. Not the commit's time, or it would be built anew for each.
        "SOURCE_DATE_EPOCH": "0",
        # 21 MB in place of 150: names of functions stay, the tables of lines do not.
        "CARGO_PROFILE_RELEASE_DEBUG": "false",
        "CARGO_PROFILE_RELEASE_STRIP": "debuginfo",
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(f"--remap-path-prefix={path}={name}" for path, name in prefixes),
        f"CFLAGS_{target.replace('-', '_')}": shlex.join(f"-ffile-prefix-map={path}={name}" for path, name in prefixes),
        "CC_SHELL_ESCAPED_FLAGS": "1",
        "CARGO_ZIGBUILD_CACHE_DIR": str(cache / "zigbuild"),
        "CARGO_ZIGBUILD_ZIG_PATH": str(zig / "ziglang/zig"),
        "ZIG_GLOBAL_CACHE_DIR": str(cache / "zig"),
        "ZIG_LOCAL_CACHE_DIR": str(cache / "zig"),
    }
    return os.environ | ours | rust.environment(target)


def binary(target: str) -> Path:
    return ROOT / "target" / target / "release/glanced"


def check_glibc(program: Path) -> None:
    """The program must start on systems with an older glibc than the one that is here."""
    symbols = subprocess.run(["objdump", "-T", program], check=True, capture_output=True, text=True).stdout
    versions = re.findall(r"\bGLIBC_([\d.]+)", symbols)
    if not versions:
        fail(f"{program} names no version of glibc: objdump could not read it")
    newest = max(versions, key=rust.number)
    if rust.number(newest) > rust.number(NEWEST_GLIBC):
        fail(f"{program} needs glibc {newest}, but no newer one than {NEWEST_GLIBC} is allowed")
