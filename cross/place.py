"""Where the cross builds keep what they need, and what they share with `tools/setup`."""

import contextlib
import fcntl
import importlib.machinery
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "tools"
# All of it can be deleted at any time. Git ignores it.
PLACE = ROOT / "cross/.root"


def _load_setup() -> ModuleType:
    sys.path.append(str(TOOLS))
    loader = importlib.machinery.SourceFileLoader("setup", str(TOOLS / "setup"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("setup", loader))
    loader.exec_module(module)
    return module


setup = _load_setup()


def say(message: str) -> None:
    print(f"cross: {message}", file=sys.stderr, flush=True)


def fail(message: str) -> None:
    raise SystemExit(f"cross: {message}")


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Two at once take turns; what one that was killed left behind is removed."""
    PLACE.mkdir(parents=True, exist_ok=True)
    folder = os.open(PLACE, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another one that sets up")
            fcntl.flock(folder, fcntl.LOCK_EX)
        for left in PLACE.glob(".setup-*.tmp"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(folder)


def make(name: str, wanted: str, what: str, fill: Callable[[Path], None]) -> Path:
    """The folder `name`, which `fill` has filled and `wanted` describes. It is there whole or not at all."""
    folder = PLACE / name
    if setup.read(folder / ".stamp") == wanted:
        return folder
    say(what)
    with setup.workspace(PLACE) as temporary:
        made = temporary / "made"
        made.mkdir()
        fill(made)
        (made / ".stamp").write_text(wanted, "utf-8")
        if folder.exists():
            folder.rename(temporary / "replaced")
        made.rename(folder)
    return folder


def need_program(program: str, *packages: str) -> None:
    """Sees to it that a program of Debian is installed."""
    if not setup.is_there(program) and not setup.apt_install(list(packages)):
        fail(f"{program} is missing; install with: sudo apt-get install --no-install-recommends {' '.join(packages)}")


def script(path: Path, text: str) -> None:
    """Writes a program of the shell."""
    path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    path.chmod(0o755)
