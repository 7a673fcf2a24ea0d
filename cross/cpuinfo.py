"""/proc/cpuinfo of a machine for aarch64. ONNX Runtime looks at the processor there, and crashes under an emulator when it sees
that of the machine below."""

import os

# What a Raspberry Pi 4 has: a Cortex-A72.
PROCESSOR = """\
processor\t: {number}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""


def text() -> str:
    """With as many processors as this machine has."""
    return "".join(PROCESSOR.format(number=number) for number in range(os.cpu_count() or 1))
