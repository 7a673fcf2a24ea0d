"""A place where programs for aarch64 run: qemu's user mode, Debian's C library, ONNX Runtime for aarch64.

Folders of the place lie over the system's: whatever a program opens is looked for in the place first.
"""

import os
import shutil
from pathlib import Path

import debian
import runtime
from place import PLACE, ROOT, make, script

# What a Raspberry Pi 4 has.
CPU = "cortex-a72"
CPU_INFO = """\
processor\t: {number}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""


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
    # ONNX Runtime looks at the processor there, and crashes when it sees that of the machine below.
    (place / "proc").mkdir()
    cores = range(os.cpu_count() or 1)
    (place / "proc/cpuinfo").write_text("".join(CPU_INFO.format(number=number) for number in cores), "utf-8")
    here = PLACE / "emulator"
    script(folder / "run", f'exec {here}/qemu-aarch64 -cpu {CPU} -L {here}/place "$@"')
