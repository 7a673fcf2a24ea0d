"""A place where programs for aarch64 run: qemu's user mode, Debian's C library, ONNX Runtime for aarch64.

Folders of the place lie over the system's: whatever a program opens is looked for in the place first.
"""

import os
import shutil
from pathlib import Path

import cpuinfo
import debian
import runtime
from place import PLACE, ROOT, make, script

# That of a Raspberry Pi 4, as in `cpuinfo`.
CPU = "cortex-a72"


def prepare() -> Path:
    """Installs what is missing, and returns a program that runs its arguments."""
    # Where the project lies is a part of it: tests name the runtime by its whole path.
    emulator = make("emulator", f"{CPU} {os.cpu_count()} {ROOT}", "an emulator into cross/.root", fill_emulator)
    library = runtime.prepare()
    over = emulator / "place" / str(ROOT / "runtime").lstrip("/")
    over.parent.mkdir(parents=True, exist_ok=True)
    if not over.is_symlink():
        over.symlink_to(library)
    return emulator / "run"


def fill_emulator(folder: Path) -> None:
    apt, place = debian.apt(), folder / "place"
    place.mkdir()
    apt.unpack(["qemu-user-static"], folder / "qemu")
    (folder / "qemu/usr/bin/qemu-aarch64-static").rename(folder / "qemu-aarch64")
    shutil.rmtree(folder / "qemu")
    apt.unpack([f"{name}:arm64" for name in ("libc6", "libgcc-s1", "libstdc++6")], place)
    (place / "proc").mkdir()
    (place / "proc/cpuinfo").write_text(cpuinfo.text(), "utf-8")
    here = PLACE / "emulator"
    script(folder / "run", f'exec {here}/qemu-aarch64 -cpu {CPU} -L {here}/place "$@"')
