"""Debian 12 in a folder: made once by debootstrap, kept below target/, never changed."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from emulated import Emulated
from place import ROOT, fail, here, say

SUITE = "bookworm"
MIRROR = os.environ.get("GLANCED_DEBIAN_MIRROR", "http://deb.debian.org/debian")
# What the package depends on: it is installed without a network.
NEEDED = ["libgcc-s1", "libstdc++6", "systemd"]
# Of those that boot, so that there is a box with a broker, and something to look with.
BOOTED = ["ca-certificates", "curl", "dbus", "man-db", "mosquitto", "mosquitto-clients", "systemd-sysv"]


def base(architecture: str) -> Path:
    """The folder, made if it is not there yet. It is there whole or not at all."""
    folder = ROOT / f"target/debian/{SUITE}-{architecture}"
    if folder.is_dir():
        return folder
    if os.geteuid() != 0:
        fail("the tests of the package make a Debian of their own, and must be run as root for it")
    say(f"Debian 12 for {architecture} into {folder.relative_to(ROOT)} (about 100 MB to download)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".made-", suffix=".tmp", dir=folder.parent))
    try:
        with open(folder.with_suffix(".log"), "wb") as log:
            (fill if architecture == here() else fill_emulated)(made / "root", architecture, log)
        (made / "root").rename(folder)
    except subprocess.CalledProcessError:
        fail(f"debootstrap failed: {folder.with_suffix('.log')}")
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


def fill(root: Path, architecture: str, log) -> None:  # noqa: ANN001
    debootstrap(root, architecture, log, [*NEEDED, *BOOTED])


def fill_emulated(root: Path, architecture: str, log) -> None:  # noqa: ANN001
    """Nothing boots there, so that it has what the package needs and no more."""
    debootstrap(root, architecture, log, NEEDED, "--foreign")
    inside = Emulated(root, overlay=False)
    try:
        # The devices are there already: in a user namespace none can be made, and debootstrap knows that of LXC.
        command = inside.command("env", "container=lxc", "/debootstrap/debootstrap", "--second-stage")
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    finally:
        inside.stop()


def debootstrap(root: Path, architecture: str, log, packages: list[str], *options: str) -> None:  # noqa: ANN001
    line = ["debootstrap", "--variant=minbase", f"--arch={architecture}", f"--include={','.join(packages)}", *options]
    subprocess.run([*line, SUITE, root, MIRROR], check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
