"""A Debian 12 that boots: systemd as the first process of namespaces of its own, on an overlay that is gone at the end.

It has no way to the network but its own loopback, and nothing that happens in it touches this system.
"""

import contextlib
import subprocess
import tempfile
import time
from pathlib import Path

from cgroups import Groups

PATIENCE = 120.0
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
    "DEBIAN_FRONTEND": "noninteractive",
    "container": "glanced-test",
}

# What follows it ends with the process that started it, however that ends.
WITH_PARENT = ["setpriv", "--pdeathsig=KILL"]

# Runs in the new namespaces. What it writes over the base lies in a tmpfs, and goes with the namespace.
BOOT = """
set -e
base=$1 shared=$2
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=$base,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
cd /mnt/root
mkdir -p shared old
mount --bind $shared shared
mount -t proc proc proc
mount -t sysfs sysfs sys
if grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null; then
    mount -t cgroup2 cgroup2 sys/fs/cgroup
else
    mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
    mkdir sys/fs/cgroup/unified sys/fs/cgroup/systemd
    mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
    mount -t cgroup -o none,name=systemd,xattr cgroup sys/fs/cgroup/systemd
    for controller in memory cpu pids; do
        if grep -q "^$controller" /proc/cgroups; then
            mkdir sys/fs/cgroup/$controller
            mount -t cgroup -o $controller cgroup sys/fs/cgroup/$controller || rmdir sys/fs/cgroup/$controller
        fi
    done
fi
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
mount -t tmpfs -o mode=755,nosuid tmpfs dev
for device in null zero full random urandom tty; do
    touch dev/$device
    mount --bind /dev/$device dev/$device
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
pivot_root . old
umount -l old
# What systemd does itself where it is not in a container: services get their credentials by it.
mount --make-rshared /
cd /
exec /lib/systemd/systemd --system --log-target=console --show-status=no
"""


class Machine:
    """One that runs until `stop`, or until this process ends."""

    def __init__(self, base: Path) -> None:
        self._stack = contextlib.ExitStack()
        # What both sides see: here, and there as /shared.
        self.shared = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="glanced-")))
        self.shared.chmod(0o755)
        self._log = self._stack.enter_context(tempfile.TemporaryFile("w+"))
        namespaces = ["--fork", "--kill-child", "--pid", "--mount", "--uts", "--ipc", "--cgroup", "--net"]
        groups = Groups()
        self._stack.callback(groups.remove)
        self._unshare = subprocess.Popen(
            [*groups.enter(), *WITH_PARENT, "unshare", *namespaces, "sh", "-c", BOOT, "sh", base, self.shared],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        try:
            self._first = self.wait_for("its first process", self._find_first)
            self.wait_for("the end of its start", self._is_up)
        except BaseException:
            self.stop()
            raise

    def _find_first(self) -> int | None:
        pid = self._unshare.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        started = children and Path(f"/proc/{children[0]}/comm").read_text().strip() == "systemd"
        return int(children[0]) if started else None

    def _is_up(self) -> bool:
        done = self.run("systemctl", "is-system-running", check=False)
        return done.stdout.strip() in ("running", "degraded")

    def wait_for(self, what: str, ask, patience: float = PATIENCE):  # noqa: ANN001
        """What `ask` returns, as soon as that is something."""
        end = time.monotonic() + patience
        while not (answer := ask()):
            if self._unshare.poll() is not None or time.monotonic() > end:
                self._log.seek(0)
                raise AssertionError(f"no {what}; the machine says:\n{self._log.read()[-4000:]}")
            time.sleep(0.05)
        return answer

    def command(self, *command: str, user: str | None = None) -> list[str]:
        """The command line that runs `command` in there."""
        enter = ["nsenter", f"--target={self._first}", "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "env", "-C", "/"]
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        return [*enter, *become, *map(str, command)]

    def run(
        self, *command: str, check: bool = True, user: str | None = None, given: str | None = None
    ) -> subprocess.CompletedProcess:
        """Runs a command in there, as root unless another user is named."""
        done = subprocess.run(
            self.command(*command, user=user),
            env=ENVIRONMENT,
            input=given or "",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}")
        return done

    def popen(self, *command: str, **options) -> subprocess.Popen:
        """Starts a command in there."""
        return subprocess.Popen(self.command(*command), env=ENVIRONMENT, text=True, **options)

    def read(self, *command: str, user: str | None = None) -> str:
        return self.run(*command, user=user).stdout.strip()

    def stop(self) -> None:
        if self._unshare.poll() is None:
            # --kill-child kills the first process, and with it goes everything in there.
            self._unshare.kill()
        self._unshare.wait()
        self._stack.close()
