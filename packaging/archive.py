"""The archive for systems without Debian's packages, and the checksums of all that is handed out."""

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import tree
from parts import Parts
from place import DIST, HERE, ROOT, WORK, epoch, fresh, version


def make(parts: Parts) -> Path:
    name = f"glanced-{version()}-{parts.architecture}"
    folder = fresh(WORK / name)
    tree.lay(folder / "root", parts)
    for source in (HERE / "install", ROOT / "README.md", ROOT / "LICENSE"):
        tree.put(source, folder / source.name, 0o755 if source.name == "install" else 0o644)
    packed = io.BytesIO()
    # Neither the order of the folder, nor who made it and when, is to be seen in it.
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in [folder, *sorted(folder.rglob("*"))]:
            entry = tar.gettarinfo(path, str(Path(name) / path.relative_to(folder)))
            entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = epoch(), 0, 0, "root", "root"
            entry.mode = 0o755 if entry.isdir() else entry.mode
            with open(path, "rb") if entry.isfile() else io.BytesIO() as content:
                tar.addfile(entry, content if entry.isfile() else None)
    DIST.mkdir(exist_ok=True)
    archive = DIST / f"{name}.tar.gz"
    archive.write_bytes(gzip.compress(packed.getvalue(), compresslevel=9, mtime=0))
    return archive


def checksums() -> None:
    """Of all that is in dist/, as `sha256sum --check SHA256SUMS` wants them."""
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(DIST.iterdir())]
    (DIST / "SHA256SUMS").write_text("".join(lines), "utf-8")
