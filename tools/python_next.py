"""Home Assistant wants a Python that no stable Debian has yet.

This is that of Debian's next release, with the libraries and the loader that it was built with: unpacked into a folder, not
installed. Which 3.14 that is Debian says, whose signature APT checks: of a release to come no version stays. The packages
that run on it are pinned as all others are.
"""

import shutil
import subprocess
import sys
from pathlib import Path

RELEASE = "forky"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
CHECK = "import ssl, sqlite3, sys; sys.exit(not (3, 14, 2) <= sys.version_info < (3, 15))"


class PythonError(Exception):
    pass


def starts(python: Path) -> bool:
    try:
        return subprocess.run([python, "-I", "-c", CHECK], capture_output=True).returncode == 0
    except OSError:
        return False


def make(work: Path, target: Path) -> None:
    """A folder with `python` in it: what starts the one that is installed here, or one that is fetched."""
    target.mkdir()
    if (installed := shutil.which("python3.14")) and starts(Path(installed)):
        start = f'"{installed}"'
    else:
        unpack(work, target)
        # Its own loader starts it: it needs a newer C library than there may be here.
        (loader,) = target.glob("usr/lib/*/ld-linux-*.so.*")
        libraries = loader.parent.relative_to(target)
        start = f'"$here/{libraries}/{loader.name}" --library-path "$here/{libraries}" "$here/usr/bin/python3.14"'
    launcher = target / "python"
    launcher.write_text(f'#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\nexec {start} "$@"\n', "utf-8")
    launcher.chmod(0o755)
    if not starts(launcher):
        raise PythonError("the Python 3.14 that was fetched does not start")


def unpack(work: Path, target: Path) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb") or not KEYRING.is_file():
        raise PythonError("a python3.14 is needed, 3.14.2 or newer: only with Debian's APT can it be fetched")
    for folder in ("lists/partial", "archives/partial"):
        (work / folder).mkdir(parents=True)
    source = f"deb [signed-by={KEYRING}] http://deb.debian.org/debian {RELEASE} main\n"
    (work / "sources.list").write_text(source, "utf-8")
    (work / "status").touch()  # nothing is installed: all that it needs comes with it
    options = {
        "Dir::Etc::SourceList": work / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": work,
        "Dir::State::Status": work / "status",
        "Dir::Cache": work,
        "APT::Sandbox::User": "",  # its own user may not come here
        "Acquire::Languages": "none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
    }
    command = ["apt-get", "-qq", *(word for key, value in options.items() for word in ("-o", f"{key}={value}"))]
    fetch = ["--download-only", "--yes", "--no-install-recommends", "install", "python3.14", "libstdc++6"]
    for arguments in (["update"], fetch):
        if subprocess.run([*command, *arguments], stdin=subprocess.DEVNULL, stdout=sys.stderr).returncode:
            raise PythonError("APT could not fetch Python 3.14 (see above)")
    for package in (work / "archives").glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", package, target], check=True)


def pip_options(machine: str) -> list[str]:
    """Tells pip, which runs on another Python, to choose for this one.

    All the same it would compare what packages ask for with its own, and need not: they are pinned.
    """
    tags = [f"manylinux_2_{minor}" for minor in range(39, 4, -1)] + ["manylinux2014", "manylinux2010", "manylinux1"]
    options = ["--ignore-requires-python", "--python-version", "3.14", "--implementation", "cp"]
    options += ["--abi", "cp314", "--abi", "abi3", "--abi", "none"]
    return options + [word for tag in tags for word in ("--platform", f"{tag}_{machine}")] + ["--platform", "any"]
