"""A folder with a Debian for ARM, in which programs run under qemu's user mode: nothing boots there.

In namespaces of its own, with a user namespace that knows all users as they are: kernels from 6.7 on have one binfmt_misc for each,
so that this system does not come to run foreign programs.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "cross"))
import cpuinfo  # noqa: E402: the line before puts it on the path
from machine import ENVIRONMENT, PATIENCE, WITH_PARENT  # noqa: E402

QEMU = "/usr/bin/qemu-aarch64-static"
# 64-bit ELF for aarch64, whatever system it is for. F: qemu is opened now, for it is not in the folder.
BINFMT = (
    r":glanced-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff" + f":{QEMU}:F"
)
# With an overlay, the folder stays as it is.
ENTER = """
set -e
read go
folder=$1 overlay=$2 cpuinfo=$3 binfmt=$4
mount --make-rprivate /
mount -t proc proc /proc
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
printf %s "$binfmt" >/proc/sys/fs/binfmt_misc/register
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
if [ "$overlay" ]; then
    mount -t overlay -o "lowerdir=$folder,upperdir=/mnt/upper,workdir=/mnt/work,userxattr" overlay /mnt/root
else
    mount --bind "$folder" /mnt/root
fi
cd /mnt/root
mkdir -p dev proc sys tmp
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
    touch dev/$device
    mount --bind /dev/$device dev/$device
done
mkdir dev/pts dev/shm
ln -s /proc/self/fd dev/fd
mount -t proc proc proc
mount --rbind /sys sys
cp "$cpuinfo" /mnt/cpuinfo
mount --bind /mnt/cpuinfo proc/cpuinfo
touch /mnt/ready
exec sleep infinity
"""


class Emulated:
    """The namespaces, until `stop`, or until this process ends."""

    def __init__(self, folder: Path, *, overlay: bool) -> None:
        processors = folder.parent / "cpuinfo"
        processors.write_text(cpuinfo.text(), "utf-8")
        namespaces = ["--fork", "--kill-child", "--user", "--setgroups", "allow", "--mount", "--pid", "--uts", "--ipc"]
        script = ["sh", "-c", ENTER, "sh", folder, "yes" if overlay else "", processors, BINFMT]
        self.first = None
        self._unshare = subprocess.Popen([*WITH_PARENT, "unshare", *namespaces, *script], env=ENVIRONMENT, stdin=subprocess.PIPE)
        try:
            self.first = self._wait_for(self._find_first)
            for users in ("uid_map", "gid_map"):
                Path(f"/proc/{self.first}/{users}").write_text("0 0 4294967295\n")
            self._unshare.stdin.write(b"go\n")
            self._unshare.stdin.close()
            self._wait_for(lambda: Path(f"/proc/{self.first}/root/mnt/ready").exists())
        except BaseException:
            self.stop()
            raise

    def _find_first(self) -> str | None:
        pid = self._unshare.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return children[0] if children and Path(f"/proc/{children[0]}/comm").read_text().strip() == "sh" else None

    def _wait_for(self, ask):  # noqa: ANN001, ANN202
        end = time.monotonic() + PATIENCE
        while not (answer := ask()):
            if self._unshare.poll() is not None or time.monotonic() > end:
                raise AssertionError("the namespaces for the emulator could not be made (see above); Linux 6.7 or newer is needed")
            time.sleep(0.02)
        return answer

    @property
    def root(self) -> Path:
        """The folder as it is in there."""
        return Path(f"/proc/{self.first}/root/mnt/root")

    def command(self, *command: object) -> list[str]:
        enter = ["nsenter", f"--target={self.first}", "--user", "--mount", "--uts", "--ipc", "--pid"]
        return [*enter, "env", "-C", "/", "chroot", "/mnt/root", *map(str, command)]

    def run(self, *command: object, check: bool = True, **environment: str) -> subprocess.CompletedProcess:
        done = subprocess.run(
            self.command(*command),
            env=ENVIRONMENT | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}")
        return done

    def stop(self) -> None:
        # The first process by itself: with a change of users the kernel forgets that it was to end with its parent.
        for pid in filter(None, (self.first, self._unshare.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        self._unshare.wait()
