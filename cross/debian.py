"""Unpacks packages of Debian into a folder, also such as are for another architecture. The system's own lists and state
of APT and dpkg are neither used nor changed, and nobody needs to be root."""

import os
import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

from place import PLACE, fail, setup

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = "http://deb.debian.org/debian"
# In each of these more is found than is needed, and all of it is on the system anyway.
ALWAYS_THERE = {"libc6", "libgcc-s1", "libstdc++6", "gcc-12-base", "libcrypt1"}


class Apt:
    """An APT of our own: the release that runs here, for both architectures."""

    def __init__(self, folder: Path, more_suites: list[str]) -> None:
        self.folder = folder
        for name in ("lists/partial", "cache/archives/partial", "parts", "preferences.d", "sources.list.d"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        release = re.search(r"^VERSION_CODENAME=(\w+)$", setup.read(Path("/etc/os-release")) or "", re.M)
        if not release or not Path(KEYRING).is_file():
            fail("this needs Debian (12 or newer), for its packages")
        mirrors = system_mirrors()
        main = mirrors.get(release[1], MIRROR)
        suites = {f"{release[1]}-security": f"{MIRROR}-security", release[1]: main} | dict.fromkeys(more_suites, main)
        lines = [
            f"deb [arch=amd64,arm64 signed-by={KEYRING}] {mirrors.get(suite, uri)} {suite} main"
            for suite, uri in suites.items()
        ]
        (folder / "sources.list").write_text("".join(f"{line}\n" for line in lines), "utf-8")
        (folder / "apt.conf").write_text(self._configuration(), "utf-8")
        self._run("apt-get", "-qq", "update")

    def _configuration(self) -> str:
        f = self.folder
        settings = {
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64,arm64",
            "APT::Sandbox::User": "root",  # which means: whoever runs it
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Dir::State": f"{f}/",
            "Dir::State::Lists": f"{f}/lists/",
            "Dir::State::status": f"{f}/status",
            "Dir::Cache": f"{f}/cache/",
            "Dir::Etc": f"{f}/",
            "Dir::Etc::sourcelist": f"{f}/sources.list",
            "Dir::Etc::sourceparts": f"{f}/sources.list.d",
            "Dir::Etc::parts": f"{f}/parts",
            "Dir::Etc::preferencesparts": f"{f}/preferences.d",
        }
        dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True)
        proxies = re.findall(r"^Acquire::https?::.*$", dump.stdout, re.M)
        return "\n".join([*(f'{key} "{value}";' for key, value in settings.items()), *proxies, ""])

    def _run(self, *command: str, cwd: Path | None = None) -> str:
        environment = os.environ | {"APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C"}
        done = subprocess.run(command, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            fail(f"{shlex.join(command)} failed; run it again to retry:\n{done.stderr.strip()}")
        return done.stdout

    def candidate(self, package: str) -> str | None:
        """The newest version there is."""
        found = re.search(r"Candidate: (\S+)", self._run("apt-cache", "policy", package))
        return found[1] if found and found[1] != "(none)" else None

    def versions(self, package: str) -> list[str]:
        return [line.split("|")[1].strip() for line in self._run("apt-cache", "madison", package).splitlines()]

    def closure(self, package: str) -> list[str]:
        """The package and all that it depends on, but for what every system has."""
        options = ["--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces"]
        names = self._run("apt-cache", "depends", *options, "--no-enhances", package).splitlines()
        return [name for name in names if re.fullmatch(r"[\w.+:-]+", name) and name.split(":")[0] not in ALWAYS_THERE]

    def unpack(self, packages: list[str], into: Path) -> None:
        """`packages` may have an architecture and a version: name:arm64=1.0."""
        archives = self.folder / "archives"
        archives.mkdir()
        # APT checks what it downloads against the signed lists.
        self._run("apt-get", "-qq", "download", *packages, cwd=archives)
        for archive in sorted(archives.iterdir()):
            subprocess.run(["dpkg-deb", "--extract", archive, into], check=True)
            archive.unlink()
        archives.rmdir()


def system_mirrors() -> dict[str, str]:
    """Where the system itself gets each suite of Debian from."""
    formatted = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(RELEASE) $(REPO_URI)", "Created-By: Packages"]
    listed = subprocess.run(formatted, capture_output=True, text=True).stdout
    return {suite: uri for line in listed.splitlines() if line.startswith("Debian ") for _, suite, uri in [line.split(" ", 2)]}


@cache
def apt(*more_suites: str) -> Apt:
    """Made anew in each run that needs it: lists grow old, and a half made one is of no use."""
    import atexit
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix=".setup-", suffix=".tmp", dir=PLACE))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Apt(folder, list(more_suites))
