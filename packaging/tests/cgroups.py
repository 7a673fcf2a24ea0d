"""Control groups for a machine that boots: it makes its own below them, and all are gone at the end."""

import itertools
import os
import time
from pathlib import Path

MOUNTED = Path("/sys/fs/cgroup")
# Those that systemd 252 uses where they are mounted one by one; the empty name is the unified hierarchy.
WANTED = ("", "name=systemd", "memory", "cpu", "pids")
_numbers = itertools.count()


class Groups:
    """One of its own in each hierarchy that there is."""

    def __init__(self) -> None:
        self.folders = []
        unified = (MOUNTED / "cgroup.controllers").exists()
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers not in WANTED:
                continue
            hierarchy = MOUNTED if unified else MOUNTED / (controllers.removeprefix("name=") or "unified")
            parent = hierarchy / path.lstrip("/")
            if (parent / "cgroup.procs").exists():
                folder = parent / f"glanced-test-{os.getpid()}-{next(_numbers)}"
                folder.mkdir()
                self.folders.append(folder)

    def enter(self) -> list[str]:
        """A command line that runs in them what follows it."""
        script = 'until [ "$1" = -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"'
        return ["sh", "-ec", script, "sh", *map(str, self.folders), "--"]

    def remove(self, patience: float = 10.0) -> None:
        end = time.monotonic() + patience
        for folder in self.folders:
            # From the leaves on. What has just been killed may not be gone yet.
            for below in sorted([folder, *(path for path in folder.rglob("*") if path.is_dir())], reverse=True):
                while True:
                    try:
                        below.rmdir()
                        break
                    except OSError:
                        if time.monotonic() > end:
                            raise
                        time.sleep(0.02)
