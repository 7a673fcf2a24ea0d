"""The Debian package. What is in it is said by [package.metadata.deb] in Cargo.toml, of what `tree` has laid out."""

import email.utils
import tomllib
from pathlib import Path

import tree
from parts import Parts
from place import ARCHITECTURES, DIST, ROOT, WORK, cargo_program, epoch, fresh, read, reproducible, run, version

REVISION = "1"


def make(parts: Parts) -> Path:
    tree.lay(fresh(WORK / "root"), parts)
    (WORK / "changelog").write_text(changelog(), "utf-8")
    DIST.mkdir(exist_ok=True)
    package = DIST / f"glanced_{version()}-{REVISION}_{parts.architecture}.deb"
    package.unlink(missing_ok=True)
    _, target = ARCHITECTURES[parts.architecture]
    # The default would be to look for the program where cargo builds it, and to strip it.
    arguments = ["--no-build", "--no-strip", "--locked", f"--target={target}", f"--deb-revision={REVISION}"]
    run(cargo_program("cargo-deb"), *arguments, f"--output={package}", env=reproducible())
    return package


def changelog() -> str:
    """Debian's own, which leaves what is new to the one that is for users."""
    with open(ROOT / "Cargo.toml", "rb") as file:
        maintainer = tomllib.load(file)["package"]["metadata"]["deb"]["maintainer"]
    date = email.utils.formatdate(epoch())
    return (
        f"glanced ({version()}-{REVISION}) unstable; urgency=medium\n\n"
        f"  * What is new is in changelog.gz.\n\n"
        f" -- {maintainer}  {date}\n"
    )
