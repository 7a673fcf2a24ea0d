"""What lies where in an installed system."""

import gzip
import shutil
import tomllib
from pathlib import Path

from parts import Parts
from place import HERE, ROOT

BUNDLE = "efficientnet-lite0/1"


def lay(root: Path, parts: Parts) -> None:
    """Lays everything below `root`. A configuration that is there already stays."""
    put(parts.program, root / "usr/bin/glanced", 0o755)
    put(parts.runtime / "libonnxruntime.so", root / "usr/lib/glanced/libonnxruntime.so")
    with open(ROOT / "models" / BUNDLE / "bundle.toml", "rb") as file:
        listed = tomllib.load(file)["sha256"]
    for name in ("bundle.toml", *listed):
        put(ROOT / "models" / BUNDLE / name, root / "usr/share/glanced/models" / BUNDLE / name)
    put(ROOT / "systemd/glanced.service", root / "usr/lib/systemd/system/glanced.service")
    put(ROOT / "systemd/glanced.sysusers", root / "usr/lib/sysusers.d/glanced.conf")
    for path in sorted(parts.share.rglob("*")):
        if path.is_file():
            target = root / "usr/share" / path.relative_to(parts.share)
            if "man" in target.parts:
                put_compressed(path, target.with_name(f"{target.name}.gz"))
            else:
                put(path, target)

    documents = root / "usr/share/doc/glanced"
    put(HERE / "copyright", documents / "copyright")
    put_compressed(ROOT / "CHANGELOG.md", documents / "changelog.gz")
    put_compressed(parts.runtime / "ThirdPartyNotices.txt", documents / "onnxruntime.txt.gz")
    if parts.crates:
        put_compressed(parts.crates, documents / "crates.txt.gz")

    if not (root / "etc/glanced/config.toml").exists():
        put(HERE / "config.toml", root / "etc/glanced/config.toml")


def put(source: Path, target: Path, mode: int = 0o644) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # A daemon that runs keeps the file that it has mapped.
    target.unlink(missing_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def put_compressed(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    # Without name and time, so that the same bytes come out each time.
    target.write_bytes(gzip.compress(source.read_bytes(), compresslevel=9, mtime=0))
    target.chmod(0o644)
